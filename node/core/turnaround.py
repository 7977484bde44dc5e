"""How long results take, from a study's last image to their arrival: median and 95th percentile, over time."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

MEDIAN, MOST = 0.5, 0.95


@dataclass(frozen=True)
class Span:
    """What was finished from `begin` on, for one width of time. None where nothing was."""

    begin: datetime
    count: int
    median_s: float | None
    most_s: float | None


@dataclass(frozen=True)
class Turnaround:
    """What was finished in a period as a whole, and in equal spans of it. most_s: 95 of 100 took no longer."""

    whole: Span
    spans: tuple[Span, ...]


def turnaround(finished: Sequence[tuple[datetime, float]], end: datetime, width: timedelta, count: int) -> Turnaround:
    """finished: when each was finished, and how many seconds it took. The last of `count` spans ends at `end`."""
    begin = end - count * width
    groups: list[list[float]] = [[] for _ in range(count)]
    for at, seconds in finished:
        if begin <= at < end and seconds >= 0:
            groups[(at - begin) // width].append(seconds)
    spans = tuple(_span(begin + number * width, group) for number, group in enumerate(groups))
    return Turnaround(_span(begin, [one for group in groups for one in group]), spans)


def _span(begin: datetime, seconds: list[float]) -> Span:
    if not seconds:
        return Span(begin, 0, None, None)
    ordered = sorted(seconds)
    return Span(begin, len(ordered), _at(ordered, MEDIAN), _at(ordered, MOST))


def _at(ordered: Sequence[float], share: float) -> float:
    """Nearest rank: a time that was really taken."""
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]
