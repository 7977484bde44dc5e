"""What is asked again and again takes no longer after years: it is found by index, and no job's images are read."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa

from node.cli import queries
from node.core.job import DeliveryState, JobState, Stage
from node.core.outcome import Outcome
from node.state import counts, listings, outbox, overview, pledges, work
from node.state.ledger import Ledger
from node.state.search import Wanted, search
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
    "the longest waiting job": lambda connection: work.longest_waiting(connection, Stage.PREPARE),
    "what is under way": work.under_way,
    "who is not told yet": pledges.untold,
    "what no archive holds yet": pledges.unseen,
    "jobs that ended": lambda connection: work.jobs_ended(connection, [JobState.FAILED], since=AT),
    "open deliveries": outbox.open_deliveries,
    "what is on its way": listings.on_their_way,
    "all deliveries": listings.deliveries,
    "older deliveries": lambda connection: listings.deliveries(connection, before=(AT, "d")),
    "deliveries in a state": lambda connection: listings.deliveries(connection, DeliveryState.PARKED),
    "deliveries for a destination": lambda connection: listings.deliveries(connection, None, "pacs"),
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


def test_what_was_delivered_is_found_study_by_study_and_not_from_every_delivery(tmp_path: Path) -> None:
    """Without statistics, which a node never makes, SQLite took a minute for 30,000 studies."""
    with books(tmp_path) as found:
        _, plan = plan_of(found.ledger, lambda asked: search(asked, Wanted(outcome=Outcome.DELIVERED)))

    assert [one for one in plan if "iso_delivery" in one and "job_id=?" not in one] == []


def test_the_longest_waiting_job_is_found_without_those_behind_it(tmp_path: Path) -> None:
    """It is looked for within a transaction that writes, however many wait."""
    with books(tmp_path) as found:
        _, plan = plan_of(found.ledger, ASKED["the longest waiting job"])

    assert plan[0] == "SEARCH iso_job USING INDEX ix_iso_job_waiting (state=?)"
    assert not any("TEMP B-TREE" in one for one in plan)
