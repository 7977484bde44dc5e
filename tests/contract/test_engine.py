"""What the node expects of its engine, whichever it is: each effect once, through kill -9."""

import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from node.core.job import JobState, Priority, Stage
from node.jobs.engine import Engine, Work
from node.state import arrivals, schema, work
from node.state.bells import Bells
from node.state.rows import NewJob
from tests.makers.ledger import START, Books, books, ct_slice, is_live
from tests.makers.programs import ENDS_WITH_US

JOBS = 20
KILLS = 6
LIMIT_S = 90
PATIENCE_S = 90
"""With a worker that ends in order: the engine's library waits for each of its threads for up to 10 s."""
STARTED: list[subprocess.Popen[bytes]] = []


@pytest.fixture
def found(tmp_path: Path, database_url: str) -> Iterator[Books]:
    with books(tmp_path, database_url) as made:
        made.arrive(ct_slice(1))
        yield made
    while STARTED:  # those that a test which failed has left
        STARTED.pop().kill()


def queue_job(found: Books, number: int, priority: Priority = Priority.ROUTINE) -> str:
    with found.ledger.write() as connection:
        (study,) = arrivals.gathering_studies(connection)
        new = NewJob(
            f"j{number}", f"key{number}", study.id, "r", "m", "1", "d", "i", {}, (), incomplete=False, priority=priority
        )
        job = work.add_job(connection, new, START)
        assert job is not None
        found.queue.stage(connection, work.ticket_of(job), priority=job.priority)
    return job.id


def start(found: Books, slot: str, stage_s: float = 0.05, *, changed: str = "") -> subprocess.Popen[bytes]:
    """A worker. changed: Python that it runs first, to break something."""
    program = f"import sys; from pathlib import Path; from tests.makers.worker import main\n{changed}\n"
    program += "main(Path(sys.argv[1]), sys.argv[2], sys.argv[3], float(sys.argv[4]))"
    command = [*ENDS_WITH_US, sys.executable, "-c", program, str(found.home), found.url, slot, str(stage_s)]
    STARTED.append(subprocess.Popen(command))
    return STARTED[-1]


def states(found: Books) -> dict[str, JobState]:
    with found.ledger.read() as connection:
        return {row["id"]: JobState(row["state"]) for row in connection.execute(schema.job.select()).mappings()}


def wait_until_encoded(found: Books) -> None:
    deadline = time.monotonic() + LIMIT_S
    while set(states(found).values()) != {JobState.ENCODED}:
        assert time.monotonic() < deadline, states(found)
        time.sleep(0.05)


def tried_by_one_worker(found: Books) -> Sequence[sa.Row]:
    """What was tried until all that waits was encoded, in order."""
    worker = start(found, "w0")
    wait_until_encoded(found)
    worker.terminate()
    worker.wait(PATIENCE_S)
    with found.ledger.read() as connection:
        return connection.execute(schema.attempt.select().order_by(schema.attempt.c.id)).all()


@pytest.mark.slow
def test_every_job_ends_once_through_kills_at_random_moments(found: Books) -> None:
    """Workers are killed while stages run; no job is lost, none is adopted twice, none dead-letters by kills alone."""
    for number in range(JOBS):
        queue_job(found, number)
    chance = random.Random(7)
    workers = {slot: start(found, slot) for slot in ("w0", "w1")}
    for _ in range(KILLS):
        time.sleep(chance.uniform(0.8, 2.0))  # not for luck: the moment of the kill is what varies
        slot = chance.choice(sorted(workers))
        workers[slot].kill()
        workers[slot].wait()
        workers[slot] = start(found, slot)
    wait_until_encoded(found)
    for worker in workers.values():
        worker.terminate()
        worker.wait(PATIENCE_S)

    with found.ledger.read() as connection:
        done = connection.execute(schema.attempt.select().where(schema.attempt.c.outcome == "done")).all()
    assert len(done) == len({(one.job_id, one.stage) for one in done}) == 3 * JOBS


def test_stat_overtakes_what_waits(found: Books) -> None:
    for number in range(6):
        queue_job(found, number)
    stat = queue_job(found, 99, Priority.STAT)
    assert stat in [one.job_id for one in tried_by_one_worker(found)][:2]


def test_the_first_of_many_is_finished_before_the_last_is_begun(found: Books) -> None:
    """Else a hundred studies that come at once lie prepared on the disk, and none has a result."""
    many = 30  # its next stage is found a moment later, in which some others are begun
    for number in range(many):
        queue_job(found, number)
    assert [one.stage for one in tried_by_one_worker(found)].index(Stage.ENCODE.value) < many


def test_a_rolled_back_transaction_enqueues_nothing(found: Books) -> None:
    class Undone(Exception):
        pass

    job_id = queue_job(found, 1)

    def enqueue_and_fail() -> None:
        with found.ledger.write() as connection:
            found.queue.stage(connection, work.Ticket(job_id, 7, Stage.INFER, 1), priority=Priority.ROUTINE)
            raise Undone

    with pytest.raises(Undone):
        enqueue_and_fail()

    assert not is_live(found.queue, found.queue.stage_id(work.Ticket(job_id, 7, Stage.INFER, 1)))


def test_what_is_enqueued_is_begun_at_once(found: Books) -> None:
    """Three stages follow each other without waiting for the engine's own next look."""
    worker = start(found, "w0", changed="import tests.makers.worker\ntests.makers.worker.POLL_S = 10")
    queue_job(found, 1)
    wait_until_encoded(found)  # its process has begun to listen

    began = time.monotonic()
    queue_job(found, 2)
    wait_until_encoded(found)
    took_s = time.monotonic() - began
    worker.terminate()
    worker.wait(PATIENCE_S)

    assert took_s < 5


def test_a_worker_that_has_just_become_free_takes_what_waits(found: Books) -> None:
    worker = start(found, "w0", changed="import tests.makers.worker\ntests.makers.worker.POLL_S = 10")
    queue_job(found, 1)
    wait_until_encoded(found)

    began = time.monotonic()
    for number in range(2, 6):
        queue_job(found, number)
    wait_until_encoded(found)
    took_s = time.monotonic() - began
    worker.terminate()
    worker.wait(PATIENCE_S)

    assert took_s < 9


@contextmanager
def recovering(found: Books) -> Iterator[Engine]:
    """An engine that does no work itself."""
    engine = Engine(found.url, executor="service", work=Work(stages={}), poll_s=1, bells=Bells(found.home))
    engine.start()
    try:
        yield engine
    finally:
        engine.stop(0)


def running_attempt(found: Books) -> str | None:
    """Who is doing a stage at this moment."""
    with found.ledger.read() as connection:
        return connection.execute(
            sa.select(schema.attempt.c.executor).where(schema.attempt.c.ended_at.is_(None))
        ).scalar()


def attempts(found: Books) -> list[tuple[str, str, str]]:
    with found.ledger.read() as connection:
        rows = connection.execute(schema.attempt.select().order_by(schema.attempt.c.id)).all()
    return [(one.stage, one.executor, one.outcome) for one in rows]


def wait_until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.slow
def test_the_work_of_a_dead_executor_is_done_by_another_once_it_is_recovered(found: Books) -> None:
    """The engine does not notice by itself that an executor is gone for ever: this is the call that tells it."""
    queue_job(found, 1)
    lost = start(found, "lost", stage_s=60)
    wait_until(lambda: running_attempt(found) == "lost")
    lost.kill()
    lost.wait()
    other = start(found, "other")
    with recovering(found) as engine:
        put_back = [engine.recover("lost"), engine.recover("lost")]
        wait_until_encoded(found)
    other.terminate()
    other.wait(PATIENCE_S)

    assert put_back == [1, 0]
    assert attempts(found) == [
        ("prepare", "lost", "crashed"),
        *((stage, "other", "done") for stage in ("prepare", "infer", "encode")),
    ]


def freeze_and_thaw(found: Books, changed: str = "") -> None:
    """One worker is frozen within a stage, another does the work to its end, and the first one thaws."""
    queue_job(found, 1)
    frozen = start(found, "frozen", stage_s=1.5, changed=changed)
    wait_until(lambda: running_attempt(found) == "frozen")
    frozen.send_signal(signal.SIGSTOP)
    other = start(found, "other")
    with recovering(found) as engine:
        engine.recover("frozen")
        wait_until_encoded(found)
        before = len(notes(found))
        frozen.send_signal(signal.SIGCONT)
        wait_until(lambda: ("prepare", "frozen", "stale") in attempts(found) or len(notes(found)) > before)
    for worker in (frozen, other):
        worker.terminate()
        worker.wait(PATIENCE_S)


def notes(found: Books) -> list[str]:
    """What happened to jobs, in order."""
    with found.ledger.read() as connection:
        query = sa.select(schema.event.c.name).where(schema.event.c.job_id.is_not(None)).order_by(schema.event.c.id)
        return list(connection.execute(query).scalars())


@pytest.mark.slow
def test_an_executor_that_was_frozen_and_thaws_after_its_work_was_done_elsewhere_changes_nothing(found: Books) -> None:
    freeze_and_thaw(found)

    assert sorted(one for one in attempts(found) if one[2] == "done") == [
        (stage, "other", "done") for stage in ("encode", "infer", "prepare")
    ]
    assert notes(found) == ["job-queued", "job-prepared", "job-inferred", "job-encoded"]


WITHOUT_COMPARING = """
from node.state import schema, work

def set_only(connection, job, ticket, values, now):
    connection.execute(schema.job.update().where(schema.job.c.id == job.id).values(**values, changed_at=now))
    return True

work._compare_and_set = set_only
"""


@pytest.mark.slow
def test_without_the_compare_and_set_the_same_proof_fails(found: Books) -> None:
    """The control: a worker that sets without comparing walks a finished job back."""
    freeze_and_thaw(found, WITHOUT_COMPARING)

    assert ("prepare", "frozen", "done") in attempts(found)
    assert notes(found)[:5] == ["job-queued", "job-prepared", "job-inferred", "job-encoded", "job-prepared"]


ENGINES_TABLES = ("workflow_status", "workflow_input", "workflow_output", "operation_outputs")


def engine_rows(found: Books) -> dict[str, int]:
    """How much the engine holds in each of its tables."""
    schema_name = None if found.ledger.engine.dialect.name == "sqlite" else "dbos"
    with found.ledger.read() as connection:
        count = {
            name: sa.select(sa.func.count()).select_from(sa.table(name, schema=schema_name)) for name in ENGINES_TABLES
        }
        return {name: connection.execute(query).scalar_one() for name, query in count.items()}


def test_what_has_ended_is_forgotten_and_what_waits_is_not(found: Books) -> None:
    """Else the engine's tables would grow for ever."""
    queue_job(found, 1)
    worker = start(found, "w0")
    wait_until_encoded(found)
    worker.terminate()
    worker.wait(PATIENCE_S)
    waiting = queue_job(found, 2)
    before = engine_rows(found)
    early = found.queue.forget(datetime.now(UTC) - timedelta(minutes=5))
    done = found.queue.forget(datetime.now(UTC) + timedelta(minutes=5))
    again = found.queue.forget(datetime.now(UTC) + timedelta(minutes=5))

    assert before["workflow_status"] == 4
    assert (early, done, again) == (0, 3, 0)
    left = engine_rows(found)
    assert left["workflow_status"] == 1
    assert all(count <= 1 for count in left.values())
    assert is_live(found.queue, found.queue.stage_id(work.Ticket(waiting, 1, Stage.PREPARE, 1)))


def test_a_forgotten_workflow_that_comes_again_changes_nothing(found: Books) -> None:
    """The ledger tells stale ones, not the engine's memory."""
    job_id = queue_job(found, 1)
    worker = start(found, "w0")
    wait_until_encoded(found)
    found.queue.forget(datetime.now(UTC) + timedelta(minutes=5))
    with found.ledger.write() as connection:
        found.queue.stage(connection, work.Ticket(job_id, 1, Stage.INFER, 1), priority=Priority.ROUTINE)
    wait_until(lambda: not is_live(found.queue, found.queue.stage_id(work.Ticket(job_id, 1, Stage.INFER, 1))))
    worker.terminate()
    worker.wait(PATIENCE_S)

    assert [one for one in attempts(found) if one[2] == "done"] == [
        (stage, "w0", "done") for stage in ("prepare", "infer", "encode")
    ]


def test_what_is_queued_for_a_job_that_was_erased_ends_without_an_error(found: Books) -> None:
    gone = work.Ticket("jgone", 1, Stage.PREPARE, 1)
    with found.ledger.write() as connection:
        found.queue.stage(connection, gone, priority=Priority.ROUTINE)
    worker = start(found, "w0")
    wait_until(lambda: not is_live(found.queue, found.queue.stage_id(gone)))
    worker.terminate()
    worker.wait(PATIENCE_S)

    with found.ledger.read() as connection:
        where = "dbos" if connection.dialect.name == "postgresql" else None
        status = sa.table("workflow_status", sa.column("status"), schema=where).c.status
        assert connection.execute(sa.select(status)).scalars().all() == ["SUCCESS"]


def test_a_delay_is_shortened_when_the_clock_was_set_back(found: Books) -> None:
    """Else what should be tried again in a minute would wait for an hour and a minute."""
    job_id = queue_job(found, 1)
    with found.ledger.write() as connection:
        ticket = work.Ticket(job_id, 1, Stage.PREPARE, 1)
        again = work.next_turn(connection, work.get_job(connection, job_id), ticket, START)
        assert again is not None
        wait = {"priority": Priority.ROUTINE, "after": timedelta(hours=1, seconds=1)}
        found.queue.stage(connection, again, **wait)
    found.queue.hasten(timedelta(hours=1))
    worker = start(found, "w0")
    wait_until_encoded(found)
    worker.terminate()
    worker.wait(PATIENCE_S)
