"""The page on measurements says what the code computes."""

from tests.house import measurements


def test_its_table_is_the_codes() -> None:
    """`python -m tests.house.measurements` mends it."""
    page = measurements.PAGE.read_text(encoding="utf-8")

    assert page == measurements.with_table(page)
    assert "✗" not in page
