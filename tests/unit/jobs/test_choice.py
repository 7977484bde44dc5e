"""Which job a worker takes next: urgent ones first, the oldest every third time, nothing that is paused."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from node.actions import Operator
from node.core.job import JobState, Priority, Stage
from node.core.pausable import Pausable
from node.errors import NotPossible
from node.jobs.runner import Assignment, Runner, StageWork
from node.settings import JobsTable
from node.state import arrivals, schema, work
from node.state.rows import JobRow, NewJob
from node.state.work import Ticket
from tests.makers.ledger import Books, books, ct_slice, is_live


class Line:
    """A line of waiting jobs, and a worker that writes down in which order it did them."""

    def __init__(self, found: Books) -> None:
        self.books, self.done = found, []
        found.arrive(ct_slice(1))
        self.runner = self.worker("w", self._do)

    def worker(self, executor: str, do: Callable[[Assignment], None]) -> Runner:
        return Runner(
            self.books.ledger,
            self.books.queue,
            home=self.books.home,
            executor=executor,
            limits=JobsTable(),
            stages={stage: StageWork(do, lambda _job: 60.0) for stage in Stage},
            clock=self.books.clock,
        )

    def _do(self, assignment: Assignment) -> None:
        self.done.append(assignment.job.id)

    def queue(self, *names: str, priority: Priority = Priority.ROUTINE) -> None:
        for name in names:
            self.books.clock.forward(seconds=1)
            with self.books.ledger.write() as connection:
                (study,) = arrivals.gathering_studies(connection)
                new = NewJob(
                    name, f"key {name}", study.id, "r", "m", "1", "d", "i", {}, (), incomplete=False, priority=priority
                )
                work.add_job(connection, new, self.books.clock())
                self.books.queue.stage(connection, work.Ticket(name, 1, Stage.PREPARE, 1), priority=priority)

    def work(self, name: str, worker: Runner | None = None) -> None:
        """The queue hands this job over."""
        job = self.job(name)
        (worker or self.runner).run(Stage.PREPARE, name, job.run, job.turn)

    def job(self, name: str) -> JobRow:
        with self.books.ledger.read() as connection:
            return work.get_job(connection, name)

    def is_queued(self, name: str) -> bool:
        job = self.job(name)
        return is_live(self.books.queue, self.books.queue.stage_id(work.ticket_of(job)))


@pytest.fixture
def line(tmp_path: Path, database_url: str) -> Iterator[Line]:
    with books(tmp_path, database_url) as found:
        yield Line(found)


def test_every_third_pick_takes_the_oldest(line: Line) -> None:
    """STAT studies without end leave routine ones a third of the worker."""
    line.queue("old", "older than stat")
    line.queue(*(f"stat{number}" for number in range(1, 7)), priority=Priority.STAT)
    for number in range(1, 7):
        line.work(f"stat{number}")

    assert line.done == ["stat1", "stat2", "old", "stat4", "stat5", "older than stat"]


def test_what_was_overtaken_is_enqueued_again_and_done(line: Line) -> None:
    line.queue("old")
    line.queue("stat1", "stat2", "stat3", priority=Priority.STAT)
    for number in range(1, 4):
        line.work(f"stat{number}")
    overtaken = line.is_queued("stat3")
    line.work("stat3")

    assert overtaken
    assert line.done == ["stat1", "stat2", "old", "stat3"]


def test_the_old_tickets_of_both_are_stale(line: Line) -> None:
    """Another worker that holds one of them starts nothing."""
    line.queue("old")
    line.queue("stat1", "stat2", "stat3", priority=Priority.STAT)
    for number in range(1, 4):
        line.work(f"stat{number}")
    line.runner.run(Stage.PREPARE, "old", 1, 1)
    line.runner.run(Stage.PREPARE, "stat3", 1, 1)

    assert line.done == ["stat1", "stat2", "old"]


@pytest.mark.parametrize(("kind", "name"), [(Pausable.ROUTE, "r"), (Pausable.MODEL, "m")])
def test_what_is_paused_waits_and_goes_on_when_resumed(line: Line, kind: Pausable, name: str) -> None:
    operator = Operator(line.books.ledger, line.books.queue)
    line.queue("one")
    operator.pause(kind, name, line.books.clock())
    line.work("one")
    waited = list(line.done)
    operator.resume(kind, name, line.books.clock())
    resumed = line.is_queued("one")
    line.work("one")

    assert (waited, resumed, line.done) == ([], True, ["one"])
    assert line.job("one").state is JobState.PREPARED


def test_the_oldest_is_not_taken_while_it_is_paused(line: Line) -> None:
    line.queue("old")
    with line.books.ledger.write() as connection:
        connection.execute(schema.job.update().values(route="other"))
    Operator(line.books.ledger, line.books.queue).pause(Pausable.ROUTE, "other", line.books.clock())
    line.queue("stat1", "stat2", "stat3", priority=Priority.STAT)
    for number in range(1, 4):
        line.work(f"stat{number}")

    assert line.done == ["stat1", "stat2", "stat3"]


def test_pausing_twice_and_resuming_what_runs_say_so(line: Line) -> None:
    operator = Operator(line.books.ledger, line.books.queue)
    with pytest.raises(NotPossible, match="route r is not paused"):
        operator.resume(Pausable.ROUTE, "r", line.books.clock())
    operator.pause(Pausable.ROUTE, "r", line.books.clock())
    with pytest.raises(NotPossible, match="route r is paused already"):
        operator.pause(Pausable.ROUTE, "r", line.books.clock())


@pytest.mark.parametrize("guarded", [True, False], ids=["with", "without"])
def test_a_worker_that_was_thought_dead_adopts_nothing(
    line: Line, monkeypatch: pytest.MonkeyPatch, *, guarded: bool
) -> None:
    """It froze in its stage, another did the work, it thaws. Without the compare-and-set both would be adopted: the
    control shows that this test sees it."""
    line.queue("one")
    if not guarded:
        monkeypatch.setattr(work, "_compare_and_set", _set)

    def freeze(_assignment: Assignment) -> None:
        with line.books.ledger.write() as connection:
            job = work.get_job(connection, "one")
            work.next_turn(connection, job, Ticket("one", 1, Stage.PREPARE, 1), line.books.clock())
        line.work("one", line.worker("other", lambda _assignment: None))

    line.work("one", line.worker("frozen", freeze))
    with line.books.ledger.read() as connection:
        outcomes = [row.outcome for row in connection.execute(schema.attempt.select().order_by(schema.attempt.c.id))]

    assert outcomes == (["stale", "done"] if guarded else ["done", "done"])


def _set(connection, job, ticket, values, now) -> bool:  # noqa: ARG001  the ticket is what it leaves out
    connection.execute(schema.job.update().where(schema.job.c.id == job.id).values(changed_at=now, **values))
    return True
