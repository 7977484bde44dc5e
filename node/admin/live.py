"""The present as the overview shows it, computed once for all who look."""

from dataclasses import dataclass
from datetime import timedelta

from node.admin import concerns
from node.admin.charts import Chart, chart_of
from node.admin.concerns import Concern
from node.admin.gpus import Gpu
from node.admin.health import Health
from node.admin.shared import Shared
from node.admin.window import Window
from node.core.turnaround import turnaround
from node.state.overview import Journey, finished, journey

CHARTS_S = 60.0
"""How old charts may be, which are over hours and days."""
HOUR, DAY, WEEK = timedelta(hours=1), timedelta(days=1), timedelta(days=7)


@dataclass(frozen=True)
class Station:
    """One stop of the journey: how much is there now, and how much left the way there. path: where it is listed."""

    words: str
    count: int
    path: str
    astray: int = 0
    astray_words: str = ""
    astray_path: str = ""


@dataclass(frozen=True)
class Present:
    """Everything on the overview."""

    journey: Journey
    stations: tuple[Station, ...]
    concerns: tuple[Concern, ...]
    health: Health
    full_in: timedelta | None
    total_mb: int
    gpus: tuple[Gpu, ...]
    charts: tuple[Chart, ...]


class Live:
    """What the overview shows."""

    def __init__(self, window: Window) -> None:
        self._window = window
        self._present = Shared(self._look)
        self._charts = Shared(self._draw, CHARTS_S)

    def present(self) -> Present:
        """What is, at most FRESH_S ago."""
        return self._present.now()

    def _look(self) -> Present:
        window, now = self._window, self._window.now()
        health, full_in = window.look(), window.disk.full_in()
        with window.ledger.read() as connection:
            counts = journey(connection, now)
        found = (
            *concerns.of_machine(health, full_in),
            *concerns.of_files(window.editor, window.config_folder),
            *concerns.of_ledger(window.ledger, now),
        )
        return Present(
            journey=counts,
            stations=stations_of(counts),
            concerns=found,
            health=health,
            full_in=full_in,
            total_mb=window.disk.total_mb(),
            gpus=window.gpus.last(),
            charts=self._charts.now(),
        )

    def _draw(self) -> tuple[Chart, ...]:
        now = self._window.now()
        with self._window.ledger.read() as connection:
            done = finished(connection, now - WEEK)
        return (
            chart_of("Last 24 hours", turnaround(done, now, HOUR, 24), "%H:%M"),
            chart_of("Last 7 days", turnaround(done, now, DAY / 4, 28), "%a %H:%M"),
        )


def stations_of(now: Journey) -> tuple[Station, ...]:
    """The journey in the order in which a study makes it."""
    of = "/studies?outcome="
    return (
        Station("arriving", now.gathering, of + "gathering", now.held, "held", of + "held"),
        Station("reading", now.prepare, of + "working"),
        Station("analysing", now.infer, of + "working", now.failed, "failed", of + "failed"),
        Station("writing results", now.encode, of + "working"),
        Station("sending", now.sending, "/outbox", now.parked, "parked", "/outbox"),
        Station("proving arrival", now.proving, "/outbox"),
    )
