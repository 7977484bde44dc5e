"""The whole journey on PostgreSQL: in by C-STORE, out to the PACS, and seen by the operator on the way."""

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import sqlalchemy as sa

from node.rehearsal.modality import send_study
from node.rehearsal.pacs import StandInPacs
from node.rehearsal.phantom import SMALL, write_study
from node.rehearsal.running import DATABASE_URL, TITLE, RunningNode, running_node
from node.state import schema

pytestmark = [pytest.mark.real("postgresql"), pytest.mark.slow]
PEERS = '[[peer]]\nname = "pacs"\nae_title = "PACS"\naddress = "127.0.0.1"\nport = {port}\n'
ROUTES = '[[route]]\nname = "lung-ct"\nmodel = "lung-ct"\ndestinations = ["pacs"]\n'
LIMIT_S = 90


@dataclass(frozen=True)
class Journey:
    """A study that went the whole way."""

    node: RunningNode
    pacs: StandInPacs

    def asked(self, *arguments: str) -> dict:
        """What a command answers."""
        command = [sys.executable, "-m", "node", *arguments, "--json"]
        found = subprocess.run(command, env=self.node.environment, capture_output=True, text=True, timeout=60)
        assert found.returncode == 0, found.stderr
        return json.loads(found.stdout)


@pytest.fixture(scope="module")
def journey(tmp_path_factory: pytest.TempPathFactory, postgres) -> Iterator[Journey]:
    folder = tmp_path_factory.mktemp("journey")
    settings = {"gathering.quiet_s": "1", "state.database_url": postgres.new()}
    files = write_study(folder / "phantom", SMALL)
    with (
        StandInPacs(folder / "pacs") as pacs,
        running_node(folder / "node", peers=PEERS.format(port=pacs.port), routes=ROUTES, settings=settings) as node,
    ):
        node.wait_until_ready()
        send_study(files, "127.0.0.1", node.port, "PACS", TITLE)
        with node.ledger() as ledger:
            for _ in node.until(LIMIT_S, "the results were not delivered"):
                with ledger.read() as connection:
                    if connection.execute(sa.select(schema.delivery.c.state)).scalar() == "accepted":
                        break
        yield Journey(node, pacs)


def test_every_result_comes_back_once(journey: Journey) -> None:
    with journey.node.ledger() as ledger, ledger.read() as connection:
        results = connection.execute(sa.select(schema.result.c.sop_uid, schema.result.c.kind)).all()

    assert {one.kind for one in results} == {"seg", "sr", "text", "summary"}
    assert sorted(one.sop_instance_uid for one in journey.pacs.arrivals) == sorted(one.sop_uid for one in results)


def test_the_operator_sees_it(journey: Journey) -> None:
    (study,) = journey.asked("studies")["items"]
    (job,) = journey.asked("jobs")["items"]
    (delivery,) = journey.asked("deliveries")["items"]

    assert (study["state"], job["state"], delivery["state"]) == ("complete", "encoded", "accepted")
    assert journey.asked("status")["queues"] == {"prepare": 0, "infer": 0, "encode": 0, "deliver": 0}


def test_no_file_holds_the_facts_as_well(journey: Journey) -> None:
    assert list(journey.node.home.glob("*.sqlite*")) == []


def test_a_second_home_on_the_same_database_is_refused(journey: Journey, tmp_path: Path) -> None:
    """It would take jobs of the first, whose images it does not have; what it is sent it keeps."""
    url = journey.node.environment[DATABASE_URL]
    peers = PEERS.format(port=journey.pacs.port)
    with running_node(tmp_path / "other", peers=peers, routes=ROUTES, settings={"state.database_url": url}) as other:
        for _ in other.until(LIMIT_S, "nothing was said"):
            if "another home's" in other.log.read_text():
                break
        found = subprocess.run(
            [sys.executable, "-m", "node", "check"], env=other.environment, capture_output=True, text=True, timeout=60
        )
    assert "ledger-owner: the ledger that state.database_url names is another home's" in found.stdout
    assert journey.asked("status")["ready"]
