"""The end of a certificate is told at each mark, once the first is reached."""

from datetime import UTC, datetime, timedelta

import pytest

from node.core.expiry import days_left, mark_reached

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("left_days", "mark"),
    [(31, None), (30, None), (29, 30), (14, 30), (13, 14), (7, 14), (6, 7), (1, 7), (0, 1), (-1, 0), (-500, 0)],
)
def test_marks_come_one_after_another(left_days: int, mark: int | None) -> None:
    assert mark_reached(left_days, 30) == mark


def test_the_first_mark_is_the_sites() -> None:
    """Later marks count only below it; none at all leaves what has expired."""
    assert [mark_reached(left, 5) for left in (6, 4, 0, -1)] == [None, 5, 1, 0]
    assert [mark_reached(left, 90) for left in (80, 20, 10)] == [90, 90, 14]
    assert [mark_reached(left, 0) for left in (6, 0, -1)] == [None, None, 0]


def test_days_are_whole() -> None:
    """Half a day left is none, and half a day ago is one too few."""
    assert [days_left(NOW + timedelta(hours=hours), NOW) for hours in (49, 24, 12, -1)] == [2, 1, 0, -1]
