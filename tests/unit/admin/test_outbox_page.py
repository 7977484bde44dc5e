"""The outbox when far too much is in it: nothing of one destination is hidden by what waits for another."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from node.bench.filled import fill
from node.core.role import Role
from node.state import schema
from node.state.listings import on_their_way
from tests.makers.window import Opened, opened
from tests.unit.state.test_history import plan_of


@pytest.fixture
def crowded(tmp_path: Path) -> Iterator[Opened]:
    """700 results are parked for the PACS and, later, two for another destination."""
    with opened(tmp_path) as made:
        fill(made.books.ledger, 800, made.window.now())
        table = schema.delivery
        with made.books.ledger.write() as connection:
            ids = list(connection.execute(table.select().order_by(table.c.changed_at)).scalars())
            connection.execute(table.update().values(state="dropped"))
            connection.execute(table.update().where(table.c.id.in_(ids[:700])).values(state="parked"))
            last = table.update().where(table.c.id.in_(ids[700:702]))
            connection.execute(last.values(state="parked", destination="other", message="answered 0122"))
        yield made


def test_what_is_parked_for_one_is_shown_however_much_is_parked_for_another(crowded: Opened) -> None:
    page = crowded.user().see("/outbox")
    pacs, other = (
        part.partition("</section>")[0] for part in sorted(page.split("<section")[1:], key=len, reverse=True)
    )

    assert "and 650 more that are parked." in pacs
    assert "other" in other
    assert other.count("answered 0122") == 2
    assert "Nothing waits" not in other


def test_programs_read_of_each_destination_what_waits(crowded: Opened) -> None:
    found = crowded.program(Role.VIEWER).get("/api/outbox").json()

    assert [one["delivery"]["destination"] for one in found].count("other") == 2


def test_it_is_found_without_all_that_was_ever_delivered(crowded: Opened) -> None:
    _, plan = plan_of(crowded.books.ledger, on_their_way)

    assert [one for one in plan if one.startswith("SCAN") and "USING" not in one] == []
