"""When the coming end of a certificate is told: at a few marks, so that the log is neither silent nor full of it."""

from datetime import datetime, timedelta

LATER_MARKS_DAYS = (14, 7, 1, 0)
"""After the first mark, which the site sets (tls.warn_days). 0: it has expired."""


def days_left(ends: datetime, now: datetime) -> int:
    """Whole days until then; negative once it is past."""
    return (ends - now) // timedelta(days=1)


def mark_reached(left_days: int, first_mark_days: int) -> int | None:
    """The last mark that so many days have come to; None while even the first is ahead."""
    if left_days < 0:
        return 0
    marks = (first_mark_days, *(mark for mark in LATER_MARKS_DAYS if 0 < mark < first_mark_days))
    return min((mark for mark in marks if left_days < mark), default=None)
