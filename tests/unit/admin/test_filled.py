"""The bench that fills a ledger: every page answers on it, and the searches that it times find what they should."""

from pathlib import Path

from node.bench.window import measure


def test_every_page_answers_on_a_filled_ledger(tmp_path: Path) -> None:
    report = measure(tmp_path, 200, 1, lambda _what: None)

    assert (report.studies, report.events) == (200, 2000)
    assert {"/", "/studies", "search: patient", "search: delivered"} <= {one.name for one in report.pages}
    assert all(len(one.times_ms) == 1 and one.median_ms > 0 for one in report.pages)
