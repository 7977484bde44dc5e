"""What an operator orders happens on a running node: each order once, from the command to the PACS."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from node.actions import Operator
from node.bench.kills import GRID, copy_study
from node.core.job import JOB_ENDED, DeliveryState, JobState
from node.core.pausable import Pausable
from node.errors import NotPossible
from node.rehearsal.modality import send_study
from node.rehearsal.pacs import StandInPacs
from node.rehearsal.phantom import write_study
from node.rehearsal.running import TITLE, RunningNode, running_node
from node.service.executor import now
from node.state import outbox, schema, work
from node.state.bells import Bells
from node.state.ledger import Ledger
from node.state.queue import Queue
from node.state.rows import DeliveryRow, JobRow

pytestmark = pytest.mark.slow
PEERS = """
[[peer]]
name = "pacs"
ae_title = "PACS"
address = "127.0.0.1"
port = {port}

[[peer]]
name = "scanner"
ae_title = "SCANNER"
roles = ["source"]
quiet_s = 600
"""
ROUTES = """
[[route]]
name = "lungs"
when = "'CT' in study.modalities"
model = "lung-ct"
destinations = ["pacs"]
"""
LIMIT_S = 90


@dataclass
class Site:
    """A node with its PACS and a hand on its ledger."""

    node: RunningNode
    pacs: StandInPacs
    ledger: Ledger
    operator: Operator
    folder: Path
    template: list[Path]
    numbers: Iterator[int] = field(default_factory=lambda: iter(range(1, 1000)))

    def send(self, calling: str = "PACS", **changes: str) -> str:
        """A new study; its UID."""
        uid, paths = copy_study(self.template, self.folder / "sent", f"s{next(self.numbers)}", "CT")
        for path in paths if changes else ():
            change(path, **changes)
        answers = send_study(paths, "127.0.0.1", self.node.port, calling, TITLE)
        assert {status for _, status in answers} == {0}
        return uid

    def isocenter(self, *arguments: str) -> str:
        command = [sys.executable, "-m", "node", *arguments]
        done = subprocess.run(command, env=self.node.environment, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def job(self, study_uid: str) -> JobRow | None:
        with self.ledger.read() as connection:
            query = schema.job.select().join(schema.study).where(schema.study.c.study_uid == study_uid)
            row = connection.execute(query).mappings().first()
            return None if row is None else work.get_job(connection, row["id"])

    def until(self, study_uid: str, *states: JobState) -> JobRow:
        for _ in self.node.until(LIMIT_S, f"no job became {states}"):
            job = self.job(study_uid)
            if job is not None and job.state in states:
                return job
            assert job is None or job.state not in JOB_ENDED, job
        raise AssertionError

    def delivered(self, job: JobRow) -> DeliveryRow:
        """The delivery of the job's present run, once it is accepted."""
        for _ in self.node.until(LIMIT_S, "nothing was delivered"):
            with self.ledger.read() as connection:
                found = [one for one in outbox.deliveries_of(connection, job.id) if one.run == self.run_of(job.id)]
            if found and found[0].state is DeliveryState.ACCEPTED:
                return found[0]
        raise AssertionError

    def run_of(self, job_id: str) -> int:
        with self.ledger.read() as connection:
            return work.get_job(connection, job_id).run

    def results(self, job: JobRow, run: int) -> set[str]:
        with self.ledger.read() as connection:
            return {one.sop_uid for one in outbox.results_of(connection, job.id, run)}

    def arrived(self) -> list[str]:
        return [str(one.sop_instance_uid) for one in self.pacs.arrivals]


def change(path: Path, **changes: str) -> None:
    from pydicom import dcmread

    image = dcmread(path)
    for keyword, value in changes.items():
        setattr(image, keyword, value)
    image.save_as(path)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("steering")
    settings = {"gathering.quiet_s": "1"}
    with StandInPacs(folder / "pacs") as pacs:
        peers = PEERS.format(port=pacs.port)
        with running_node(folder / "node", peers=peers, routes=ROUTES, settings=settings) as node:
            template = write_study(folder / "phantom", GRID)
            node.wait_until_ready()
            url = f"sqlite:///{node.home / 'ledger.sqlite'}"
            with closing(Ledger(url)) as ledger, closing(Queue(ledger.engine, Bells(node.home))) as queue:
                yield Site(node, pacs, ledger, Operator(ledger, queue), folder, template)


def test_complete_ends_the_wait(site: Site) -> None:
    """A scanner's study would wait ten minutes for more."""
    uid = site.send("SCANNER")
    for _ in site.node.until(LIMIT_S, "the study was not indexed"):
        with site.ledger.read() as connection:
            query = schema.instance.select().join(schema.study).where(schema.study.c.study_uid == uid)
            if len(connection.execute(query).all()) == len(site.template):
                break
    site.isocenter("complete", uid)
    job = site.until(uid, *JobState)
    site.operator.cancel(job.id, now())

    assert job.route == "lungs"


def test_a_paused_route_waits_and_a_queued_job_can_be_cancelled(site: Site) -> None:
    site.isocenter("pause", "route", "lungs")
    waits, cancelled = site.send(), site.send()
    queued = site.until(waits, JobState.QUEUED)
    site.operator.cancel(site.until(cancelled, JobState.QUEUED).id, now())
    site.isocenter("resume", "route", "lungs")
    site.delivered(site.until(waits, JobState.ENCODED))

    assert site.job(cancelled).state is JobState.CANCELLED
    assert queued.run == 1


def test_a_job_is_cancelled_while_its_model_runs_and_retried_from_there(site: Site) -> None:
    """What was running is not adopted; `retry` goes on with the same run at the stage where it ended."""
    uid = site.send()
    job = site.until(uid, JobState.PREPARED)
    site.operator.cancel(job.id, now())
    cancelled = site.job(uid)
    site.isocenter("retry", job.id)
    done = site.until(uid, JobState.ENCODED)
    site.delivered(done)

    assert (cancelled.state, cancelled.stage.value) == (JobState.CANCELLED, "infer")
    assert done.run == 1
    assert site.results(done, 1) <= set(site.arrived())


def test_a_paused_model_waits_and_a_prepared_job_can_be_cancelled(site: Site) -> None:
    site.isocenter("pause", "model", "lung-ct")
    uid = site.send()
    waiting = site.until(uid, JobState.QUEUED)
    time.sleep(1)  # it would be prepared within this
    still = site.job(uid).state
    site.operator.cancel(waiting.id, now())
    site.operator.resume(Pausable.MODEL, "lung-ct", now())

    assert still is JobState.QUEUED
    assert site.job(uid).state is JobState.CANCELLED


def test_an_inferred_job_can_be_cancelled_and_an_encoded_one_cannot(site: Site) -> None:
    uid = site.send()
    job = site.until(uid, JobState.INFERRED)
    site.operator.cancel(job.id, now())
    site.isocenter("retry", job.id)
    site.delivered(site.until(uid, JobState.ENCODED))

    with pytest.raises(NotPossible, match="is encoded; nothing is left to cancel"):
        site.operator.cancel(job.id, now())


def test_again_makes_new_objects_and_resend_sends_the_same(site: Site) -> None:
    uid = site.send()
    job = site.until(uid, JobState.ENCODED)
    first = site.delivered(job)
    before = len(site.arrived())
    site.isocenter("resend", first.id)
    for _ in site.node.until(LIMIT_S, "nothing was sent again"):
        if len(site.arrived()) == before + len(site.results(job, 1)):
            break
    resent = site.arrived()[before:]
    site.isocenter("again", job.id)
    again = site.until(uid, JobState.ENCODED)
    site.delivered(again)

    assert set(resent) == site.results(job, 1)
    assert again.run == 2
    assert site.results(job, 2) <= set(site.arrived())
    assert not site.results(job, 1) & site.results(job, 2)


def test_a_paused_destination_gets_nothing_until_it_is_resumed(site: Site) -> None:
    site.isocenter("pause", "destination", "pacs")
    uid = site.send()
    job = site.until(uid, JobState.ENCODED)
    waiting = site.results(job, 1) & set(site.arrived())
    site.isocenter("resume", "destination", "pacs")
    site.delivered(job)

    assert waiting == set()
    assert site.results(job, 1) <= set(site.arrived())


def test_stat_goes_first(site: Site) -> None:
    """Three routine studies wait when a STAT one comes: it is prepared before them, or after the first."""
    site.operator.pause(Pausable.ROUTE, "lungs", now())
    uids = [site.send(), site.send(), site.send(), site.send(RequestedProcedurePriority="STAT")]
    jobs = [site.until(uid, JobState.QUEUED) for uid in uids]
    site.operator.resume(Pausable.ROUTE, "lungs", now())
    for uid in uids:
        site.until(uid, JobState.PREPARED, JobState.INFERRED, JobState.ENCODED)
    with site.ledger.read() as connection:
        query = schema.attempt.select().where(schema.attempt.c.job_id.in_([one.id for one in jobs]))
        rows = connection.execute(query.where(schema.attempt.c.stage == "prepare").order_by(schema.attempt.c.id)).all()
    for one in jobs:
        if site.run_of(one.id) and site.job(uids[jobs.index(one)]).state not in JOB_ENDED:
            site.operator.cancel(one.id, now())

    assert jobs[-1].id in [row.job_id for row in rows][:2]


def test_a_stop_under_load_ends_in_time_and_what_ran_was_finished(site: Site) -> None:
    """SIGTERM while a stage runs and images arrive: within 30 s, and no attempt is left open."""
    uid = site.send()
    site.until(uid, JobState.PREPARED, JobState.INFERRED)
    started = time.monotonic()
    site.node.stop()
    took_s = time.monotonic() - started
    with site.ledger.read() as connection:
        left = connection.execute(schema.attempt.select().where(schema.attempt.c.ended_at.is_(None))).all()
    site.node.start()
    site.node.wait_until_ready()
    site.delivered(site.until(uid, JobState.ENCODED))

    assert took_s < 30
    assert left == []
