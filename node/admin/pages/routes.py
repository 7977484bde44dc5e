"""The routes in their order: what each takes and where its results go; edited, paused, and tried on a past study."""

import shutil
import tempfile
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Form, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import RedirectResponse
from pydantic import BaseModel
from starlette.datastructures import UploadFile

from node.admin.pages.editing import SAVED, Lines, Short, each_line, fault_of
from node.admin.rendering import Pages
from node.admin.window import Window
from node.core.pausable import Pausable
from node.core.routing import Decision
from node.core.study import Stack
from node.editing import Kind, Values
from node.errors import IsocenterError
from node.state.pauses import paused

PRIORITIES = ("stat", "urgent", "routine")
MOST_FILES = 1000
UPLOAD_LIMIT = 256 << 20
"""Bytes of all files that routes are tried on at once."""
ANSWERS = {True: "yes", False: "no", None: "undecided"}


class RouteForm(BaseModel):
    """A route as its form gives it. of: the route that is edited; empty: a new one, which has a name. seen:
    the mark of what it was when the form was made."""

    of: Short = ""
    seen: Short = ""
    name: Short = ""
    model: Short
    when: Lines = ""
    sources: list[Short] = []
    destinations: list[Short] = []
    priority: Short = "routine"
    to_ae: Lines = ""
    input_name: list[Short] = []
    input_where: list[Lines] = []
    input_prefer: list[Lines] = []

    def values(self) -> Values:
        """As the keys of a route; a line break in a condition is a space."""
        found: Values = {
            "model": self.model,
            "when": " ".join(self.when.split()) or None,
            "from": self.sources or None,
            "destinations": self.destinations,
            "priority": self.priority,
            "to_ae": each_line(self.to_ae) or None,
            "input": self._inputs() or None,
        }
        return found if self.of else {"name": self.name, **found}

    def _inputs(self) -> dict[str, dict[str, str | list[str]]]:
        """What was said of inputs; one of which nothing is said is left out."""
        found: dict[str, dict[str, str | list[str]]] = {}
        for name, where, prefer in zip(self.input_name, self.input_where, self.input_prefer, strict=False):
            condition, preferred = " ".join(where.split()), each_line(prefer)
            if name.strip() and (condition or preferred):
                told = {"where": condition} if condition else {}
                found[name.strip()] = {**told, "prefer": preferred} if preferred else {**told}
        return found


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
                decisions, stacks = window.trying.on_study(configuration, study.strip())
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
            models=window.model_names,
            priorities=PRIORITIES,
            callers=[one.ae_title for one in configuration.peers],
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
        return pages.page(request, "_checked.html", why=fault_of(window, Kind.ROUTE, form.of, form.values(), form.seen))

    @router.post("/routes/add")
    def route_add(form: Filled) -> Response:
        window.editor.add(Kind.ROUTE, form.values())
        return _saved()

    @router.post("/routes/{name}/edit")
    def route_edit(name: str, form: Filled) -> Response:
        window.editor.change(Kind.ROUTE, name, form.values(), seen=form.seen)
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
    def route_remove(name: str, seen: Annotated[Short, Form()] = "") -> Response:
        window.editor.remove(Kind.ROUTE, name, seen=seen)
        return _saved()

    _add_trying_to(router, window, pages)


def _add_trying_to(router: APIRouter, window: Window, pages: Pages) -> None:
    @router.post("/routes/try")
    async def routes_try(request: Request) -> Response:
        """Dropped DICOM files: their headers are read, and they are gone again when this is answered."""
        async with request.form(max_files=MOST_FILES, max_fields=5) as form:
            dropped = [one for one in form.getlist("files") if isinstance(one, UploadFile) and one.size]
            calling = str(form.get("calling", ""))[:16]
            with tempfile.TemporaryDirectory(prefix="isocenter-trial-") as folder:
                paths = await run_in_threadpool(_laid, dropped, Path(folder))
                return await run_in_threadpool(tried_on, request, paths, calling)

    def tried_on(request: Request, paths: list[Path], calling: str) -> Response:
        try:
            decisions, stacks = window.trying.on_files(window.editor.read(), paths, calling)
        except IsocenterError as error:
            return pages.page(request, "_fault.html", why=str(error))
        return pages.page(
            request,
            "_tried.html",
            decisions=decisions,
            stacks={one.name: one for one in stacks},
            answers=ANSWERS,
        )


def _laid(dropped: list[UploadFile], folder: Path) -> list[Path]:
    """What was dropped as files that can be read; what they were called says nothing."""
    paths = [folder / f"{number}" for number in range(len(dropped))]
    for one, path in zip(dropped, paths, strict=True):
        with path.open("wb") as file:
            shutil.copyfileobj(one.file, file)
    return paths


def _saved() -> Response:
    return RedirectResponse("/routes?done=saved", 303)
