"""Two worker hosts on one PostgreSQL with a shared folder: whatever befalls one, its work is done once."""

import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from node.bench.kills import GRID, PEERS, copy_study
from node.rehearsal.modality import send_study
from node.rehearsal.pacs import StandInPacs
from node.rehearsal.phantom import write_study
from node.rehearsal.running import TITLE, RunningNode, running_node
from node.service.locks import claimed
from node.state import schema
from tests.makers.hosts import Host, new_host
from tests.makers.installed import installed_model
from tests.makers.postgres import running_postgres

pytestmark = [pytest.mark.real("postgresql", "namespaces"), pytest.mark.slow]
DEAD_AFTER_S = 4.0
LIMIT_S = 90.0
ROUTE = '[[route]]\nname = "held"\nmodel = "held"\ndestinations = ["pacs"]\n'
HELD = """
import time
from contextlib import contextmanager
from pathlib import Path
from ai.card import read_card
from ai.findings import Findings, Measurement, Segment

HERE = Path(__file__).parent

class Held:
    def __init__(self):
        self.card = read_card(HERE / "card.toml")

    @contextmanager
    def open(self, device):
        yield self.predict

    def predict(self, inputs):
        while (HERE / "hold").exists():
            time.sleep(0.02)
        dense = inputs.reference_volume.array > 300
        return Findings(
            segments=(Segment("bone", dense, inputs.reference),), measurements=(Measurement("volume", 1.0, ("bone",)),)
        )

MODEL = Held()
"""
"""A model that is at work for as long as a file lies beside it, so that what befalls a host befalls it at work."""


@dataclass
class Site:
    """The node that receives and sends, two hosts that work, and a PACS."""

    node: RunningNode
    pacs: StandInPacs
    hosts: dict[str, Host]
    folder: Path
    template: list[Path]
    hold: Path
    """While it lies there, the model is at work."""
    sent: int = 0

    def send(self) -> str:
        """One more study; returns its UID."""
        self.sent += 1
        uid, paths = copy_study(self.template, self.folder / "sent", f"chest {self.sent}", "CT")
        assert {status for _, status in send_study(paths, "127.0.0.1", self.node.port, "CT", TITLE)} == {0}
        return uid

    def rows(self, query: sa.Select) -> list[sa.Row]:
        with self.node.ledger() as ledger, ledger.read() as connection:
            return list(connection.execute(query))

    def attempts(self, study_uid: str) -> list[sa.Row]:
        table = schema.attempt
        joined = table.join(schema.job, table.c.job_id == schema.job.c.id).join(schema.study)
        return self.rows(
            sa.select(table).select_from(joined).where(schema.study.c.study_uid == study_uid).order_by(table.c.id)
        )

    @contextmanager
    def at_work(self) -> Iterator[tuple[str, Host]]:
        """A new study and the host that computes it from entry to exit."""
        self.hold.touch()
        study = self.send()
        for _ in self.node.until(LIMIT_S, "nobody began to infer"):
            working = [one.executor for one in self.attempts(study) if one.stage == "infer"]
            if working:
                break
        yield study, self.hosts[working[0].split("-")[0]]
        self.hold.unlink()

    def wait_until_delivered(self) -> None:
        """Until everything that was sent is in the PACS."""
        query = sa.select(schema.delivery.c.state)
        for _ in self.node.until(LIMIT_S, "not everything was delivered"):
            if [row.state for row in self.rows(query)] == ["accepted"] * self.sent:
                return

    def outcomes(self, study_uid: str) -> dict[tuple[str, str], list[str]]:
        """How the attempts at each stage ended, by stage and host."""
        found: dict[tuple[str, str], list[str]] = {}
        for one in self.attempts(study_uid):
            found.setdefault((one.stage, one.executor.split("-")[0]), []).append(one.outcome)
        return found

    def assert_each_result_arrived_once(self) -> None:
        results = {row.sop_uid for row in self.rows(sa.select(schema.result.c.sop_uid))}
        assert len(self.rows(sa.select(schema.job.c.id))) == self.sent
        assert self.pacs.store_requests == len(results)
        assert {one.sop_instance_uid for one in self.pacs.arrivals} == results


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    settings = {"gathering.quiet_s": "0.5", "jobs.dead_after_s": str(DEAD_AFTER_S), "jobs.poll_s": "0.1"}
    with ExitStack() as stack:
        installed = stack.enter_context(installed_model(folder / "installed", "held", HELD))
        postgres = stack.enter_context(running_postgres("*"))
        local = replace(postgres, address="127.0.0.1")
        url = local.new()
        pacs = stack.enter_context(StandInPacs(folder / "pacs"))
        node = stack.enter_context(
            running_node(
                folder / "node",
                peers=PEERS.format(port=pacs.port),
                routes=ROUTE,
                settings={**settings, "state.database_url": url},
                only="receiver,service",
            )
        )
        node.wait_until_ready()
        hosts = {name: stack.enter_context(new_host(name)) for name in ("east", "west")}
        for host in hosts.values():
            stack.enter_context(host.workers(node, postgres, url.rpartition("/")[2]))
        made = Site(node, pacs, hosts, folder, write_study(folder / "phantom", GRID), installed / "hold")
        for _ in node.until(LIMIT_S, "the hosts did not start"):
            if len(claimed(node.home)) == 3 and len(made.rows(sa.select(schema.process))) == 5:
                break
        yield made


def test_a_host_that_is_frozen_and_thaws_harms_nothing(site: Site) -> None:
    """Its work was done elsewhere; what it still finishes is not adopted."""
    with site.at_work() as (study, frozen):
        frozen.signal(signal.SIGSTOP)
    site.wait_until_delivered()
    frozen.signal(signal.SIGCONT)
    for _ in site.node.until(LIMIT_S, "the thawed host did not finish"):
        if site.outcomes(study)["infer", frozen.name] == ["stale"]:
            break

    (other,) = site.hosts.keys() - {frozen.name}
    assert site.outcomes(study)["infer", other] == ["done"]
    site.assert_each_result_arrived_once()


def test_a_host_whose_network_fails_for_a_while_harms_nothing(site: Site) -> None:
    with site.at_work() as (study, alone):
        alone.plug(connected=False)
    site.wait_until_delivered()
    alone.plug(connected=True)
    again = site.send()
    site.wait_until_delivered()

    (other,) = site.hosts.keys() - {alone.name}
    assert site.outcomes(study)["infer", other] == ["done"]
    assert [outcome for (stage, _), (outcome,) in site.outcomes(again).items() if stage == "infer"] == ["done"]
    site.assert_each_result_arrived_once()


def test_a_hosts_work_is_done_elsewhere_within_two_limits_of_its_death(site: Site) -> None:
    with site.at_work() as (study, dead):
        dead.signal(signal.SIGKILL)
        died = time.time()
    site.wait_until_delivered()

    (other,) = site.hosts.keys() - {dead.name}
    (taken,) = [one for one in site.attempts(study) if one.stage == "infer" and one.executor.startswith(other)]
    assert site.outcomes(study)["infer", dead.name] == ["crashed"]
    assert taken.outcome == "done"
    assert 0 < taken.started_at.timestamp() - died < 2 * DEAD_AFTER_S
    site.assert_each_result_arrived_once()
