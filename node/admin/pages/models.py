"""The installed models: their cards, how they did lately, and pausing one."""

from dataclasses import dataclass

from fastapi import APIRouter, Request, Response

from node.admin.pages.steering import DONE
from node.admin.rendering import Pages
from node.admin.window import ModelShown, Window
from node.state.listings import ModelRun, runs_of
from node.state.pauses import Pausable, is_paused


@dataclass(frozen=True)
class Told:
    """A model and what is known of its work here."""

    model: ModelShown
    runs: tuple[ModelRun, ...]
    routes: tuple[str, ...]
    is_paused: bool


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
                    routes=tuple(route.name for route in routes if route.model == one.name),
                    is_paused=is_paused(connection, Pausable.MODEL, one.name),
                )
                for one in window.models()
            ]
        return pages.page(request, "models.html", told=told, done=DONE.get(done, ""))
