"""One stage of one job: adopted once, tried again, refused or given up, always with its reason."""

import errno
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ai.errors import ModelRefused
from node.core.job import JobState, Priority, Stage
from node.errors import IsocenterError, LedgerUnusable, ReasonCode, Refused
from node.jobs.runner import Assignment, Runner, StageWork
from node.settings import JobsTable
from node.state import arrivals, schema, work
from node.state.rows import JobRow, NewJob
from node.state.work import Ticket
from tests.makers.ledger import Books, books, ct_slice, is_live


class Bench:
    """Books with one queued job, and a runner whose stages do what a test says."""

    def __init__(self, found: Books) -> None:
        self.books = found
        self.do: Callable[[Assignment], None] = lambda assignment: (assignment.folder / "x").write_text("x")
        found.arrive(ct_slice(1))
        with found.ledger.write() as connection:
            (study,) = arrivals.gathering_studies(connection)
        self._study = study.id
        self.add("j1")
        stages = {stage: StageWork(self._do, lambda _job: 60.0) for stage in Stage}
        self.runner = Runner(
            found.ledger,
            found.queue,
            home=found.home,
            executor="w",
            limits=JobsTable(),
            stages=stages,
            clock=found.clock,
        )

    def add(self, job_id: str) -> None:
        with self.books.ledger.write() as connection:
            new = NewJob(
                *(job_id, f"key-{job_id}", self._study, f"route-{job_id}", "m", "1", "d", "i", {}, ()),
                incomplete=False,
                priority=Priority.ROUTINE,
            )
            work.add_job(connection, new, self.books.clock())

    def _do(self, assignment: Assignment) -> None:
        self.do(assignment)

    def run(self, stage: Stage = Stage.PREPARE, run: int = 1, turn: int = 1) -> JobRow:
        self.runner.run(stage, "j1", run, turn)
        return self.job()

    def job(self) -> JobRow:
        with self.books.ledger.read() as connection:
            return work.get_job(connection, "j1")

    def outcomes(self) -> list[str]:
        with self.books.ledger.read() as connection:
            return [row.outcome for row in connection.execute(schema.attempt.select().order_by(schema.attempt.c.id))]


@pytest.fixture
def bench(tmp_path: Path, database_url: str) -> Iterator[Bench]:
    with books(tmp_path, database_url) as found:
        yield Bench(found)


def failing(error: BaseException) -> Callable[[Assignment], None]:
    def do(_assignment: Assignment) -> None:
        raise error

    return do


def test_three_stages_take_a_job_to_its_end(bench: Bench) -> None:
    states = [bench.run(stage).state for stage in Stage]

    assert states == [JobState.PREPARED, JobState.INFERRED, JobState.ENCODED]


def test_the_next_stage_is_enqueued_in_the_same_breath(bench: Bench) -> None:
    bench.run()

    assert is_live(bench.books.queue, bench.books.queue.stage_id(work.Ticket("j1", 1, Stage.INFER, 1)))


def test_the_same_ticket_twice_has_the_effect_of_once(bench: Bench) -> None:
    bench.run()
    bench.run()

    assert bench.outcomes() == ["done"]


def test_a_stale_ticket_starts_nothing(bench: Bench) -> None:
    assert bench.run(turn=2).state is JobState.QUEUED
    assert bench.outcomes() == []


def test_work_that_was_overtaken_is_not_adopted_and_leaves_no_files(bench: Bench) -> None:
    """A worker that was thought dead finishes after another did its work."""

    def overtaken(assignment: Assignment) -> None:
        with bench.books.ledger.write() as connection:
            ticket = Ticket("j1", 1, Stage.PREPARE, 1)
            work.next_turn(connection, work.get_job(connection, "j1"), ticket, bench.books.clock())
        (assignment.folder / "x").write_text("late")

    bench.do = overtaken

    assert bench.run().state is JobState.QUEUED
    assert bench.outcomes() == ["stale"]
    assert list((bench.books.home / "work").rglob("x")) == []


@pytest.mark.parametrize(
    "error",
    [ValueError("boom"), MemoryError(), ModelRefused("no lungs"), OSError(errno.ENOSPC, "No space left on device")],
)
def test_what_did_not_come_to_its_end_leaves_no_files(bench: Bench, error: Exception) -> None:
    def half(assignment: Assignment) -> None:
        (assignment.folder / "x").write_text("half")
        raise error

    bench.do = half
    bench.run()

    assert list((bench.books.home / "work").rglob("x")) == []


def test_a_refusal_ends_the_job_with_its_reason(bench: Bench) -> None:
    bench.do = failing(Refused(ReasonCode.GANTRY_TILT, "tilted by 18 degrees"))
    job = bench.run()

    assert (job.state, job.reason, job.message) == (JobState.REFUSED, "gantry-tilt", "tilted by 18 degrees")


def test_a_models_own_refusal_is_told_apart(bench: Bench) -> None:
    bench.do = failing(ModelRefused("no lungs"))

    assert bench.run().reason == "model-refused"


def test_an_error_is_tried_again_and_then_given_up(bench: Bench) -> None:
    bench.do = failing(ValueError("boom"))
    states = [bench.run(turn=turn).state for turn in (1, 2, 3)]
    job = bench.job()

    assert states == [JobState.QUEUED, JobState.QUEUED, JobState.FAILED]
    assert job.reason == "model-failed"
    assert job.message == "ValueError: boom (the stage failed 3 times)"


class Unspeakable(Exception):
    def __str__(self) -> str:
        raise ZeroDivisionError


class Base(BaseException):
    pass


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (SystemExit(3), "SystemExit: 3"),
        (KeyboardInterrupt(), "KeyboardInterrupt"),
        (Base("odd"), "Base: odd"),
        (Unspeakable(), "Unspeakable: <exception str() failed>"),
        (ValueError("a\0b\ud800\nc"), "ValueError: a b  c"),
        (ModelRefused("a\0b"), "a b"),
        (ValueError("x" * 5_000), "ValueError: xxxx"),
    ],
    ids=lambda one: type(one).__name__,
)
def test_whatever_a_model_raises_ends_its_job_with_words_that_a_ledger_can_hold(
    bench: Bench, error: BaseException, message: str
) -> None:
    bench.do = failing(error)
    for turn in (1, 2, 3):
        job = bench.run(turn=turn)

    assert job.state in (JobState.FAILED, JobState.REFUSED)
    assert job.message.startswith(message)


def test_running_out_of_memory_is_told_apart(bench: Bench) -> None:
    bench.do = failing(MemoryError())
    for turn in (1, 2, 3):
        job = bench.run(turn=turn)

    assert job.reason == "out-of-memory"


def test_a_stage_whose_process_died_waits_until_it_is_alone(bench: Bench) -> None:
    """Of two that ran beside each other one may have ended both: the other one is not to fail for that."""
    began, go = threading.Event(), threading.Event()

    def slow(assignment: Assignment) -> None:
        if assignment.job.id == "j2":
            began.set()
            assert go.wait(20)

    bench.do = slow
    bench.add("j2")
    with bench.books.ledger.write() as connection:
        work.start_attempt(connection, Ticket("j1", 1, Stage.PREPARE, 1), "w", bench.books.clock())
    beside = threading.Thread(target=bench.runner.run, args=(Stage.PREPARE, "j2", 1, 1))
    beside.start()
    assert began.wait(20)
    suspect = threading.Thread(target=bench.run)
    suspect.start()
    suspect.join(0.3)
    assert suspect.is_alive()
    assert bench.job().state is JobState.QUEUED

    go.set()
    suspect.join(20)
    beside.join(20)
    assert bench.job().state is JobState.PREPARED


def test_a_stage_whose_process_died_counts_as_a_crash_and_in_the_end_fails(bench: Bench) -> None:
    ticket = Ticket("j1", 1, Stage.PREPARE, 1)
    for _ in range(5):
        with bench.books.ledger.write() as connection:
            work.start_attempt(connection, ticket, "w", bench.books.clock())
    job = bench.run()

    assert job.state is JobState.FAILED
    assert job.message == "the process died 5 times in this stage"
    assert bench.outcomes() == ["crashed"] * 5 + ["error"]


def test_analysis_start_is_written_once_per_run(bench: Bench) -> None:
    seen = []
    bench.do = lambda assignment: seen.append(assignment.started_at)
    bench.run(Stage.PREPARE)
    bench.books.clock.forward(minutes=5)
    bench.run(Stage.INFER)

    assert seen[0] == seen[1]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EROFS])
def test_a_full_disk_is_no_failure_of_the_job(bench: Bench, code: int) -> None:
    """However often it is met: the stage is done once there is room."""
    bench.do = failing(OSError(code, "No space left on device"))
    for turn in range(1, 8):
        assert bench.run(turn=turn).state is JobState.QUEUED
    bench.do = lambda _assignment: None

    assert bench.run(turn=8).state is JobState.PREPARED
    assert bench.outcomes() == [*["no-room"] * 7, "done"]


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        Refused(ReasonCode.COVERAGE, "too few"),
        ModelRefused("not this"),
        IsocenterError("unsound"),
        ValueError("wrong"),
    ],
    ids=["no-room", "refused", "model-refused", "failed", "wrong"],
)
def test_what_a_stage_that_did_not_end_well_has_written_is_removed(bench: Bench, error: Exception) -> None:
    """Above all where there is no room: each further try would fill the disk with one more half."""

    def write_and_fail(assignment: Assignment) -> None:
        (assignment.folder / "half").write_bytes(bytes(100))
        raise error

    bench.do = write_and_fail
    bench.run()

    assert list((bench.books.home / "work").rglob("half")) == []


def test_a_ledger_that_cannot_be_used_is_no_crash_of_a_process(bench: Bench) -> None:
    """However often: a job that has crashed five times is given up."""
    for _ in range(JobsTable().crash_attempts + 1):
        bench.do = failing(LedgerUnusable("gone"))
        with pytest.raises(LedgerUnusable):
            bench.run()
    bench.do = lambda _assignment: None

    assert bench.run().state is JobState.PREPARED
    assert set(bench.outcomes()) == {"no-ledger", "done"}


def test_an_attempt_that_the_ledger_took_before_it_failed_stays_as_it_is(bench: Bench) -> None:
    """The connection was lost after the commit."""

    def ended(_assignment: Assignment) -> None:
        with bench.books.ledger.write() as connection:
            work.end_attempt(connection, 1, "refused", bench.books.clock())
        raise LedgerUnusable("gone")

    bench.do = ended
    with pytest.raises(LedgerUnusable):
        bench.run()
    bench.do = lambda _assignment: None
    bench.run()

    assert bench.outcomes() == ["refused", "done"]


def test_what_lies_in_a_stages_folder_of_a_ledger_that_was_lost_is_removed(bench: Bench) -> None:
    """A restored ledger gives the same numbers again."""
    left = bench.books.home / "work" / "j1" / "1" / "prepare-1" / "left"
    left.parent.mkdir(parents=True)
    left.touch()

    assert bench.run().state is JobState.PREPARED
    assert bench.outcomes() == ["done"]
    assert [one.name for one in left.parent.iterdir()] == ["x"]


def test_a_ledger_that_cannot_be_used_is_no_failure_of_the_job(bench: Bench) -> None:
    """The engine has the body run again."""
    bench.do = failing(LedgerUnusable("full"))
    with pytest.raises(LedgerUnusable):
        bench.run()
    bench.do = lambda _assignment: None

    assert bench.run().state is JobState.PREPARED
