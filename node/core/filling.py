"""When a disk will be full, if it goes on filling as it did."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from statistics import linear_regression

LEAST = timedelta(minutes=10)
"""A shorter record tells nothing."""
FARTHEST = timedelta(days=365)


def time_to_full(free_mb: Sequence[tuple[datetime, float]], reserve_mb: float) -> timedelta | None:
    """Until less than the reserve is left; None where the record is short, or the disk does not fill within a year.

    free_mb: what was free when, oldest first.
    """
    if not free_mb or free_mb[-1][0] - free_mb[0][0] < LEAST:
        return None
    start = free_mb[0][0]
    slope_mb_per_s, _ = linear_regression(
        [(at - start).total_seconds() for at, _ in free_mb], [mb for _, mb in free_mb]
    )
    if slope_mb_per_s >= 0:
        return None
    seconds = max(0.0, (free_mb[-1][1] - reserve_mb) / -slope_mb_per_s)
    return timedelta(seconds=seconds) if seconds <= FARTHEST.total_seconds() else None
