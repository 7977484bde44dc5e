"""What is due and has no live workflow is put back into the queue."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from node.core.job import Priority, Stage
from node.service.reconcile import reconcile
from node.state import outbox, schema, work
from node.state.rows import NewJob
from tests.makers.ledger import Books, books, ct_slice, is_live


@pytest.fixture
def found(tmp_path: Path) -> Iterator[Books]:
    """A job that the queue does not know."""
    with books(tmp_path) as made:
        made.arrive(ct_slice(1))
        with made.ledger.write() as connection:
            study = connection.execute(schema.study.select()).one()
            new = NewJob(
                "j1", "k1", study.id, "r", "m", "1", "d", "i", {}, (), incomplete=False, priority=Priority.ROUTINE
            )
            work.add_job(connection, new, made.clock())
        yield made


@pytest.mark.parametrize("span", [{"seconds": 30}, {"hours": -3}], ids=["later", "clock-set-back"])
def test_a_job_without_a_workflow_gets_one(found: Books, span: dict[str, float]) -> None:
    found.clock.forward(**span)
    counts = [reconcile(found.ledger, found.queue, found.clock()) for _ in range(2)]

    assert counts == [1, 0]
    assert is_live(found.queue, found.queue.stage_id(work.Ticket("j1", 1, Stage.PREPARE, 2)))


@pytest.mark.parametrize(("minutes", "is_begun", "count"), [(5, False, 0), (15, False, 1), (15, True, 0)])
def test_what_a_process_was_handed_and_never_began_is_put_back(
    found: Books, minutes: int, *, is_begun: bool, count: int
) -> None:
    """The engine took it out of the queue and could not read it then: to the queue it runs, for ever."""
    ticket = work.Ticket("j1", 1, Stage.PREPARE, 1)
    handed_out_ms = int(found.clock().timestamp() * 1000)
    with found.ledger.write() as connection:
        found.queue.stage(connection, ticket, priority=Priority.ROUTINE)
        connection.execute(
            sa.text("UPDATE workflow_status SET status = 'PENDING', executor_id = 'w', started_at_epoch_ms = :at"),
            {"at": handed_out_ms},
        )
        if is_begun:
            work.start_attempt(connection, ticket, "w", found.clock())
    found.clock.forward(minutes=minutes)

    assert reconcile(found.ledger, found.queue, found.clock()) == count
    assert is_live(found.queue, found.queue.stage_id(work.Ticket("j1", 1, Stage.PREPARE, 1 + count)))


def test_what_has_just_changed_is_left_alone(found: Books) -> None:
    assert reconcile(found.ledger, found.queue, found.clock()) == 0


def test_a_long_backlog_is_looked_at_in_as_many_queries_as_a_short_one(found: Books) -> None:
    """A destination that is down for a day has thousands waiting, every half minute."""
    asked: list[str] = []

    def queries(first: int, last: int) -> int:
        with found.ledger.write() as connection:
            job = work.get_job(connection, "j1")
            for number in range(first, last):
                one = outbox.add_delivery(connection, job, f"pacs-{number}", found.clock())
                found.queue.delivery(connection, one.id, destination="pacs", attempt=1, priority=job.priority)
        found.clock.forward(seconds=30)
        asked.clear()
        reconcile(found.ledger, found.queue, found.clock())
        return len(asked)

    queries(0, 1)
    sa.event.listen(found.ledger.engine, "before_cursor_execute", lambda *given: asked.append(given[2]))

    assert queries(1, 3) == queries(3, 40)
