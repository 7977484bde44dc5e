"""What is asked again and again takes no longer after years: it is found by index, and no job's images are read."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa

from node.cli import queries
from node.core.job import JobState, Stage
from node.state import counts, listings, outbox, overview, work
from node.state.ledger import Ledger
from tests.makers.ledger import books

AT = datetime(2026, 1, 2, tzinfo=UTC)
ASKED: dict[str, Callable[[sa.Connection], object]] = {
    "studies": lambda connection: connection.execute(queries.studies(50)),
    "jobs": lambda connection: connection.execute(queries.jobs(50)),
    "deliveries": lambda connection: connection.execute(queries.deliveries(50)),
    "associations": lambda connection: connection.execute(queries.associations(50)),
    "troubled associations": lambda connection: connection.execute(queries.associations(50, troubled=True)),
    "queues": counts.queue_lengths,
    "unfinished jobs": work.unfinished_jobs,
    "waiting jobs": lambda connection: work.waiting_jobs(connection, Stage.PREPARE),
    "jobs that ended": lambda connection: work.jobs_ended(connection, [JobState.FAILED], since=AT),
    "open deliveries": outbox.open_deliveries,
    "what is on its way": listings.on_their_way,
    "undecided routes": lambda connection: overview.undecided(connection, AT),
}


def plan_of(ledger: Ledger, ask: Callable[[sa.Connection], object]) -> tuple[list[str], list[str]]:
    """What a function asks the database, and how SQLite finds it."""
    asked: list[tuple[str, tuple[object, ...]]] = []

    def keep(_connection: object, _cursor: object, statement: str, parameters: tuple[object, ...], *_: object) -> None:
        if statement.startswith("SELECT"):
            asked.append((statement, parameters))

    sa.event.listen(ledger.engine, "before_cursor_execute", keep)
    with ledger.read() as connection:
        ask(connection)
        plans = [connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {one}", given) for one, given in list(asked)]
        return [one for one, _ in asked], [row.detail for plan in plans for row in plan]


@pytest.mark.parametrize("name", ASKED)
def test_what_is_asked_again_and_again_does_not_go_through_the_history(tmp_path: Path, name: str) -> None:
    with books(tmp_path) as found:
        asked, plan = plan_of(found.ledger, ASKED[name])

    assert plan
    assert [one for one in plan if one.startswith("SCAN") and "USING" not in one] == []
    assert [one for one in asked if "iso_job.inputs" in one] == []


def test_few_troubled_associations_are_found_without_those_that_went_well(tmp_path: Path) -> None:
    with books(tmp_path) as found:
        _, plan = plan_of(found.ledger, lambda connection: connection.execute(queries.associations(50, troubled=True)))

    assert plan == ["SCAN iso_association USING INDEX ix_iso_association_troubled"]
