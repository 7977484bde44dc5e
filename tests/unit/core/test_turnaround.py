"""Median and 95th percentile over time, and when a disk will be full."""

from datetime import UTC, datetime, timedelta

import pytest

from node.core.filling import time_to_full
from node.core.turnaround import turnaround

END = datetime(2026, 3, 2, tzinfo=UTC)
HOUR = timedelta(hours=1)


def test_each_span_has_its_own_and_the_whole_has_all() -> None:
    finished = [(END - HOUR / 2, float(n)) for n in range(1, 101)] + [(END - 3 * HOUR / 2, 1000.0)]
    found = turnaround(finished, END, HOUR, 2)

    assert [one.count for one in found.spans] == [1, 100]
    assert (found.spans[1].median_s, found.spans[1].most_s) == (50.0, 95.0)
    assert (found.whole.count, found.whole.median_s) == (101, 51.0)


def test_what_lies_outside_or_ended_before_it_began_does_not_count() -> None:
    finished = [(END, 1.0), (END - 3 * HOUR, 1.0), (END - HOUR / 2, -5.0)]

    assert turnaround(finished, END, HOUR, 2).whole.count == 0


@pytest.mark.parametrize(
    ("free_mb", "expected"),
    [
        ([], None),
        ([(0, 1000), (5, 900)], None),
        ([(0, 1000), (60, 1000)], None),
        ([(0, 1000), (60, 1100)], None),
        ([(0, 1000), (30, 950), (60, 900)], timedelta(hours=8)),
        ([(0, 101), (60, 99)], timedelta(0)),
        ([(0, 1_000_000), (60, 999_999)], None),
    ],
)
def test_the_disk_fills_as_it_did(free_mb: list[tuple[int, float]], expected: timedelta | None) -> None:
    """Minutes and megabytes; 100 of these are the reserve."""
    looks = [(END + timedelta(minutes=minute), mb) for minute, mb in free_mb]

    assert time_to_full(looks, 100) == expected
