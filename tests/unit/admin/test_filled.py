"""The bench that fills a ledger: every page answers on it, and the searches that it times find what they should."""

from pathlib import Path

import pytest

from node.bench.filled import is_empty
from node.bench.window import measure
from tests.makers.ledger import books, ct_slice


@pytest.mark.parametrize("database", ["sqlite", pytest.param("postgresql", marks=pytest.mark.real("postgresql"))])
def test_every_page_answers_on_a_filled_ledger(request: pytest.FixtureRequest, tmp_path: Path, database: str) -> None:
    url = request.getfixturevalue("postgres").new() if database == "postgresql" else ""
    said: list[str] = []
    report = measure(tmp_path, 200, 1, said.append, url)

    assert (report.studies, report.events) == (200, 2000)
    assert {"/", "/studies", "search: patient", "search: delivered"} <= {one.name for one in report.pages}
    assert all(len(one.times_ms) == 1 and one.median_ms > 0 for one in report.pages)
    assert said[0] == "filling a ledger with 200 studies"


def test_a_ledger_that_holds_studies_is_not_filled_again(tmp_path: Path) -> None:
    with books(tmp_path) as found:
        before = is_empty(found.ledger)
        found.arrive(ct_slice(1))

        assert (before, is_empty(found.ledger)) == (True, False)
