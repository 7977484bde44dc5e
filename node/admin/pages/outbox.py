"""What is on its way to each destination: since when, why, when next; and what is parked until somebody acts."""

from dataclasses import dataclass
from typing import Annotated, Literal

from fastapi import APIRouter, Form, Query, Request, Response
from fastapi.responses import RedirectResponse

from node.admin.moments import Moment
from node.admin.pages.steering import DONE
from node.admin.rendering import Pages, mark_of
from node.admin.security import visitor_of
from node.admin.shared import Shared
from node.admin.window import Window
from node.core.job import DeliveryState
from node.core.pausable import Pausable
from node.state.listings import PAGE, Counted, OnItsWay, count_on_their_way, deliveries, on_their_way
from node.state.pauses import Paused, paused

SHOWN = 50
"""Of each destination; the rest is counted."""


@dataclass(frozen=True)
class Line:
    """One destination: what is parked there, and what is on its way; the first of them, and how many more there are."""

    name: str
    is_paused: bool
    parked: tuple[OnItsWay, ...]
    others: tuple[OnItsWay, ...]
    more_parked: int
    more_others: int


def add_to(router: APIRouter, window: Window, pages: Pages) -> None:
    """The routes of this group."""
    _add_looking_to(router, window, pages)
    _add_all_to(router, window, pages)

    @router.post("/outbox/resend")
    def resend_parked(name: Annotated[str, Form(max_length=64)]) -> Response:
        window.operator.resend_parked(name, window.now())
        return RedirectResponse("/outbox?done=resend-parked", 303)

    @router.post("/pause")
    def pause(kind: Annotated[Pausable, Form()], name: Annotated[str, Form(max_length=64)]) -> Response:
        window.check_pausable(kind, name)
        window.operator.pause(kind, name, window.now())
        return RedirectResponse(f"{PAGE_OF[kind]}?done=pause", 303)

    @router.post("/resume")
    def resume(kind: Annotated[Pausable, Form()], name: Annotated[str, Form(max_length=64)]) -> Response:
        window.operator.resume(kind, name, window.now())
        return RedirectResponse(f"{PAGE_OF[kind]}?done=resume", 303)


def _destinations(window: Window) -> list[str]:
    return [one.name for one in window.configuration().peers if "destination" in one.roles]


def _add_looking_to(router: APIRouter, window: Window, pages: Pages) -> None:
    def look() -> tuple[list[Line], str]:
        with window.ledger.read() as connection:
            found, counted, pauses = on_their_way(connection, SHOWN), count_on_their_way(connection), paused(connection)
        lines = lines_of(_destinations(window), found, counted, pauses)
        return lines, mark_of(repr(lines))

    shared = Shared(look)

    def present(request: Request, *, anew: bool) -> tuple[list[Line], str]:
        """The lines, and the mark of what this visitor's role is shown of them."""
        lines, mark = shared.now(anew=anew)
        return lines, mark_of(mark + visitor_of(request).role.value)

    def part(request: Request, lines: list[Line]) -> str:
        return pages.text(request, "_outbox.html", lines=lines)

    @router.get("/outbox")
    def outbox_page(request: Request, done: str = "") -> Response:
        lines, mark = present(request, anew=True)
        return pages.page(request, "outbox.html", part=part(request, lines), mark=mark, done=DONE.get(done, ""))

    @router.get("/outbox/live")
    def outbox_live(request: Request, seen: str = "") -> Response:
        """The list, or 204 where it is still what the page shows."""
        lines, mark = present(request, anew=False)
        if seen == mark:
            return Response(status_code=204)
        return pages.page(request, "_live.html", path_live="/outbox/live", part=part(request, lines), mark=mark)


def _add_all_to(router: APIRouter, window: Window, pages: Pages) -> None:
    @router.get("/outbox/all")
    def deliveries_page(
        request: Request,
        state: DeliveryState | Literal[""] = "",
        destination: Annotated[str, Query(max_length=64)] = "",
        before_at: Moment | None = None,
        before_id: Annotated[str, Query(max_length=64)] = "",
    ) -> Response:
        """Those that are done with, too; a page at a time."""
        before = (before_at, before_id) if before_at else None
        with window.ledger.read() as connection:
            found = deliveries(connection, state or None, destination, before)
        return pages.page(
            request,
            "deliveries.html",
            found=found[:PAGE],
            has_more=len(found) > PAGE,
            state_wanted=state,
            destination=destination,
            states=list(DeliveryState),
            destinations=list(dict.fromkeys([*_destinations(window), *filter(None, [destination])])),
        )


PAGE_OF = {Pausable.DESTINATION: "/outbox", Pausable.MODEL: "/models", Pausable.ROUTE: "/routes"}


def lines_of(configured: list[str], found: list[OnItsWay], counted: Counted, pauses: list[Paused]) -> list[Line]:
    """One line a destination: all that are configured, and those that something still waits for."""
    stopped = {one.name for one in pauses if one.kind is Pausable.DESTINATION}
    names = dict.fromkeys([*configured, *(one.delivery.destination for one in found)])
    lines = []
    for name in names:
        own = [one for one in found if one.delivery.destination == name]
        parked = tuple(one for one in own if one.delivery.state is DeliveryState.PARKED)
        others = tuple(one for one in own if one.delivery.state is not DeliveryState.PARKED)[:SHOWN]
        count = sum(number for (_, to), number in counted.items() if to == name)
        count_parked = counted.get((DeliveryState.PARKED, name), 0)
        more = (count_parked - len(parked), count - count_parked - len(others))
        lines.append(Line(name, name in stopped, parked, others, *more))
    return lines
