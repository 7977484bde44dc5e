"""Where the bars of a small chart stand; the template draws them."""

from dataclasses import dataclass
from datetime import datetime

from node.admin.words import span
from node.core.turnaround import Turnaround

WIDTH, HEIGHT, GAP = 480.0, 96.0, 0.3
"""In units of the picture. GAP: between bars, as a share of a bar's place."""
ROUND_S = (1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14400, 28800, 86400, 172800, 604800)
"""Ends of the scale that people read at a glance."""


@dataclass(frozen=True)
class Bar:
    """One span of time: a bar to the 95th percentile, and within it one to the median."""

    x: float
    width: float
    median: float
    most: float
    title: str


@dataclass(frozen=True)
class Chart:
    """A chart of turnaround. top: what its upper edge stands for."""

    title: str
    count: int
    median: str
    most: str
    top: str
    bars: tuple[Bar, ...]


def chart_of(title: str, found: Turnaround, said: str) -> Chart:
    """Draw a period. said: how the begin of a span is written (strftime)."""
    highest = max((one.most_s or 0.0 for one in found.spans), default=0.0)
    top_s = next((one for one in ROUND_S if one >= highest), highest)
    place = WIDTH / len(found.spans)
    bars = tuple(
        Bar(
            x=round(number * place + place * GAP / 2, 1),
            width=round(place * (1 - GAP), 1),
            median=round(HEIGHT * (one.median_s or 0.0) / top_s, 1),
            most=round(HEIGHT * (one.most_s or 0.0) / top_s, 1),
            title=f"{_written(one.begin, said)}: {one.count} results, median {span(one.median_s)}, "
            f"95 of 100 within {span(one.most_s)}",
        )
        for number, one in enumerate(found.spans)
        if one.count
    )
    whole = found.whole
    return Chart(title, whole.count, span(whole.median_s), span(whole.most_s), span(float(top_s)), bars)


def _written(at: datetime, said: str) -> str:
    return at.astimezone().strftime(said)
