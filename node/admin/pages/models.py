"""The installed models: their cards, how they did lately; checking and pausing one."""

from dataclasses import dataclass

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse
from markupsafe import Markup

from node.admin.known import known_model
from node.admin.pages.looking import begun, shown
from node.admin.pages.steering import DONE
from node.admin.rendering import Pages
from node.admin.window import ModelShown, Window
from node.core.checkup import Subject
from node.core.job import JobState
from node.core.pausable import Pausable
from node.state.listings import ModelRun, runs_of
from node.state.pauses import is_paused

FAILURES = 5
"""So many are shown."""


@dataclass(frozen=True)
class Told:
    """A model and what is known of its work here. failed: its last failures, whenever they were."""

    model: ModelShown
    runs: tuple[ModelRun, ...]
    failed: tuple[ModelRun, ...]
    routes: tuple[str, ...]
    is_paused: bool
    look: Markup

    @property
    def earlier_failed(self) -> list[ModelRun]:
        """Failures that are not among the last runs."""
        return [one for one in self.failed if one not in self.runs]

    @property
    def measured_mb(self) -> int | None:
        """The most memory that one of these runs took; None where none was measured."""
        return max((one.peak_mb for one in (*self.runs, *self.failed) if one.peak_mb), default=None)


def add_to(router: APIRouter, window: Window, pages: Pages) -> None:
    """The routes of this group."""

    @router.get("/models")
    def models_page(request: Request, done: str = "") -> Response:
        routes = window.configuration().routes
        with window.ledger.read() as connection:
            told = [
                Told(
                    model=one,
                    runs=tuple(runs_of(connection, one.name)),
                    failed=tuple(runs_of(connection, one.name, JobState.FAILED, FAILURES)),
                    routes=tuple(route.name for route in routes if route.model == one.name),
                    is_paused=is_paused(connection, Pausable.MODEL, one.name),
                    look=shown(request, pages, window, Subject.MODEL, one.name),
                )
                for one in window.models()
            ]
        return pages.page(request, "models.html", told=told, done=DONE.get(done, ""))

    @router.post("/models/{name}/check")
    def model_check_start(request: Request, name: str) -> Response:
        """Check what every model promises, on made images."""
        return begun(request, pages, window, Subject.MODEL, known_model(window, name))

    @router.get("/models/{name}/check")
    def model_check_seen(request: Request, name: str) -> Response:
        return HTMLResponse(shown(request, pages, window, Subject.MODEL, known_model(window, name)))
