"""The routes in their order: what each takes and where its results go; edited, paused, and tried on a past study."""

from typing import Annotated

from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import RedirectResponse
from pydantic import BaseModel, Field

from node.admin.pages.editing import SAVED, Short, fault_of
from node.admin.rendering import Pages
from node.admin.window import Window
from node.core.routing import Decision
from node.core.study import Stack
from node.editing import Kind, Values
from node.errors import IsocenterError
from node.state.pauses import Pausable, paused

PRIORITIES = ("stat", "urgent", "routine")
ANSWERS = {True: "yes", False: "no", None: "undecided"}


class RouteForm(BaseModel):
    """A route as its form gives it. of: the route that is edited; empty: a new one, which has a name."""

    of: Short = ""
    name: Short = ""
    model: Short
    when: Annotated[str, Field(max_length=2000)] = ""
    sources: list[Short] = []
    destinations: list[Short] = []
    priority: Short = "routine"

    def values(self) -> Values:
        """As the keys of a route; a line break in a condition is a space."""
        found: Values = {
            "model": self.model,
            "when": " ".join(self.when.split()) or None,
            "from": self.sources or None,
            "destinations": self.destinations,
            "priority": self.priority,
        }
        return found if self.of else {"name": self.name, **found}


Filled = Annotated[RouteForm, Form()]


def add_to(router: APIRouter, window: Window, pages: Pages) -> None:
    """The routes of this group."""

    @router.get("/routes")
    def routes_page(request: Request, study: str = "", done: str = "") -> Response:
        configuration = window.editor.read()
        decisions: list[Decision] = []
        stacks: list[Stack] = []
        fault = ""
        if study.strip():
            try:
                decisions, stacks = window.tried(configuration, study.strip())
            except IsocenterError as error:
                fault = str(error)
        with window.ledger.read() as connection:
            stopped = {one.name for one in paused(connection) if one.kind is Pausable.ROUTE}
        return pages.page(
            request,
            "routes.html",
            routes=configuration.routes,
            paused=stopped,
            peers=[one.name for one in configuration.peers],
            destinations=[one.name for one in configuration.peers if "destination" in one.roles],
            models=[one.name for one in window.models()],
            priorities=PRIORITIES,
            study=study.strip(),
            decisions=decisions,
            stacks={one.name: one for one in stacks},
            answers=ANSWERS,
            fault=fault,
            done=SAVED.get(done, ""),
        )

    @router.post("/routes/check")
    def route_check(request: Request, form: Filled) -> Response:
        """What is wrong with a form that is being filled in."""
        return pages.page(request, "_checked.html", why=fault_of(window, Kind.ROUTE, form.of, form.values()))

    @router.post("/routes/add")
    def route_add(form: Filled) -> Response:
        window.editor.add(Kind.ROUTE, form.values())
        return _saved()

    @router.post("/routes/{name}/edit")
    def route_edit(name: str, form: Filled) -> Response:
        window.editor.change(Kind.ROUTE, name, form.values())
        return _saved()

    @router.post("/routes/{name}/enable")
    def route_enable(name: str, enabled: Annotated[bool, Form()]) -> Response:
        window.editor.change(Kind.ROUTE, name, {"enabled": enabled})
        return _saved()

    @router.post("/routes/{name}/move")
    def route_move(name: str, by: Annotated[int, Form(ge=-1, le=1)]) -> Response:
        window.editor.move(Kind.ROUTE, name, by)
        return _saved()

    @router.post("/routes/{name}/remove")
    def route_remove(name: str) -> Response:
        window.editor.remove(Kind.ROUTE, name)
        return _saved()


def _saved() -> Response:
    return RedirectResponse("/routes?done=saved", 303)
