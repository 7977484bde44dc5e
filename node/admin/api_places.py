"""Peers, routes and looks for programs: what the pages change, by the same calls."""

import re
from collections.abc import Sequence
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Header, Response
from pydantic import BaseModel, Field

from node.admin.known import known_model, unknown_callers
from node.admin.window import Answer, Taken, Window
from node.core.checkup import CheckUp, Subject
from node.core.routing import Verdict
from node.editing import Kind, Values, caller_accepted, mark_of_table
from node.errors import ConfigurationInvalid, IsocenterError, NotFound, NotPossible
from node.settings import Peer, Route
from node.state.listings import Call

FILES = ("web_authorities", "web_secret_file", "web_secret_env", "passcode_file", "token_file")
Name = Annotated[str, Field(max_length=64)]
PeerOrRoute = TypeVar("PeerOrRoute", Peer, Route)
IfMatch = Annotated[str | None, Header()]
NO_MARK = "none"
"""Of an If-Match that is no ETag of ours: nothing has it."""


class Saved(BaseModel):
    """What was changed; the node takes it up within seconds."""

    name: str


class Move(BaseModel):
    """by: up (-1) or down (1)."""

    by: Annotated[int, Field(ge=-1, le=1)]


class Caller(BaseModel):
    """Who was turned away and may send from now on. address: it may call from there only; empty: from anywhere.
    name: how routes and lists call it; empty: after its AE title."""

    ae_title: Annotated[str, Field(max_length=16)]
    address: Annotated[str, Field(max_length=64)] = ""
    name: Name = ""


class OnStudy(BaseModel):
    """study: its id or Study Instance UID."""

    study: Annotated[str, Field(max_length=64, pattern=r"^[^\x00]*$")]


class StackTried(BaseModel):
    """What was thought of one stack for one input. fits: None where it could not be told."""

    input: str
    stack: str
    slices: int
    fits: bool | None
    why: str
    chosen: bool


class RouteTried(BaseModel):
    """What a route would say to a study, and why."""

    route: str
    verdict: Verdict
    why: str
    stacks: list[StackTried]


def add_to(router: APIRouter, window: Window, faults: dict[int | str, dict[str, Any]]) -> None:
    """The routes of this group. faults: how errors are described."""
    _add_callers(router, window, faults)  # before the peers: what it adds is no peer's name
    _add_peers(router, window, faults)
    _add_routes(router, window, faults)
    _add_looks(router, window, faults)


def _add_peers(router: APIRouter, window: Window, faults: dict[int | str, dict[str, Any]]) -> None:
    @router.get("/api/peers", responses=faults)
    def api_peers() -> list[Peer]:
        """The peers, as the files name them now."""
        return list(window.editor.read().peers)

    @router.post("/api/peers", responses=faults)
    def api_peer_add(peer: Peer) -> Saved:
        """Add a peer."""
        window.editor.add(Kind.PEER, _values(peer))
        return Saved(name=peer.name)

    @router.get("/api/peers/{name}", responses=faults)
    def api_peer(name: Name, response: Response) -> Peer:
        """One peer. Its ETag, given back as If-Match, keeps a change from undoing somebody else's."""
        found = _named(window.editor.read().peers, Kind.PEER, name)
        response.headers["ETag"] = f'"{mark_of_table(found)}"'
        return found

    @router.put("/api/peers/{name}", responses=faults)
    def api_peer_edit(name: Name, peer: Peer, if_match: IfMatch = None) -> Saved:
        """Change a peer to what is given; what is not given is as usual."""
        values = _values(peer, _named(window.editor.read().peers, Kind.PEER, name))
        window.editor.change(Kind.PEER, name, values, seen=mark_in(if_match))
        return Saved(name=peer.name)

    @router.delete("/api/peers/{name}", responses=faults)
    def api_peer_remove(name: Name, if_match: IfMatch = None) -> Saved:
        """Remove a peer."""
        window.editor.remove(Kind.PEER, name, seen=mark_in(if_match))
        return Saved(name=name)

    @router.post("/api/peers/{name}/echo", responses=faults)
    def api_peer_echo(name: Name) -> Answer:
        """Ask a peer whether it answers (C-ECHO)."""
        return window.asking.echo(name)

    @router.post("/api/peers/{name}/probe", responses=faults)
    def api_peer_probe(name: Name) -> Taken:
        """Ask a peer what it takes."""
        try:
            return window.asking.probe(name)
        except (ConfigurationInvalid, NotFound):
            raise
        except IsocenterError as error:
            raise NotPossible(f"{name} was not asked: {error}") from error


def _add_callers(router: APIRouter, window: Window, faults: dict[int | str, dict[str, Any]]) -> None:
    @router.get("/api/peers/unknown", responses=faults)
    def api_peers_unknown() -> list[Call]:
        """The last call of each caller that was turned away and is no peer."""
        return unknown_callers(window, window.editor.read())

    @router.post("/api/peers/accept", responses=faults)
    def api_peer_accept(caller: Caller) -> Saved:
        """Let a caller send from now on."""
        peer = caller_accepted(caller.ae_title, caller.address, caller.name)
        window.editor.add(Kind.PEER, peer)
        return Saved(name=str(peer["name"]))


def _add_routes(router: APIRouter, window: Window, faults: dict[int | str, dict[str, Any]]) -> None:
    @router.get("/api/routes", responses=faults)
    def api_routes() -> list[Route]:
        """The routes in their order, as the files name them now."""
        return list(window.editor.read().routes)

    @router.post("/api/routes", responses=faults)
    def api_route_add(route: Route) -> Saved:
        """Add a route."""
        window.editor.add(Kind.ROUTE, _values(route))
        return Saved(name=route.name)

    @router.get("/api/routes/{name}", responses=faults)
    def api_route(name: Name, response: Response) -> Route:
        """One route. Its ETag, given back as If-Match, keeps a change from undoing somebody else's."""
        found = _named(window.editor.read().routes, Kind.ROUTE, name)
        response.headers["ETag"] = f'"{mark_of_table(found)}"'
        return found

    @router.put("/api/routes/{name}", responses=faults)
    def api_route_edit(name: Name, route: Route, if_match: IfMatch = None) -> Saved:
        """Change a route to what is given; what is not given is as usual."""
        window.editor.change(Kind.ROUTE, name, _values(route), seen=mark_in(if_match))
        return Saved(name=route.name)

    @router.delete("/api/routes/{name}", responses=faults)
    def api_route_remove(name: Name, if_match: IfMatch = None) -> Saved:
        """Remove a route."""
        window.editor.remove(Kind.ROUTE, name, seen=mark_in(if_match))
        return Saved(name=name)

    @router.post("/api/routes/{name}/move", responses=faults)
    def api_route_move(name: Name, move: Move) -> Saved:
        """Move a route up or down by one."""
        window.editor.move(Kind.ROUTE, name, move.by)
        return Saved(name=name)

    @router.post("/api/routes/try", responses=faults)
    def api_routes_try(on: OnStudy) -> list[RouteTried]:
        """What each route would say to a study that is here, without effect."""
        decisions, stacks = window.trying.on_study(window.editor.read(), on.study)
        slices = {one.name: one.slice_count for one in stacks}
        return [
            RouteTried(
                route=one.route,
                verdict=one.verdict,
                why=one.why,
                stacks=[
                    StackTried(
                        input=note.input, stack=note.stack, slices=slices[note.stack], fits=note.answer.holds,
                        why=note.answer.why, chosen=note.chosen,
                    )
                    for note in one.notes
                ],
            )
            for one in decisions
        ]  # fmt: skip


def _add_looks(router: APIRouter, window: Window, faults: dict[int | str, dict[str, Any]]) -> None:
    @router.post("/api/check", responses=faults)
    def api_check_start() -> Saved:
        """Look for everything that may keep the node from its work."""
        window.looking.start(Subject.NODE)
        return Saved(name=Subject.NODE.value)

    @router.get("/api/check", responses=faults)
    def api_check() -> CheckUp | None:
        """The last look at the node; null where there was none."""
        return window.looking.last(Subject.NODE)

    @router.post("/api/selftest", responses=faults)
    def api_selftest_start() -> Saved:
        """Let a phantom make the whole journey through a node of its own."""
        window.looking.start(Subject.JOURNEY)
        return Saved(name=Subject.JOURNEY.value)

    @router.get("/api/selftest", responses=faults)
    def api_selftest() -> CheckUp | None:
        """The last self-test; null where there was none."""
        return window.looking.last(Subject.JOURNEY)

    @router.post("/api/models/{name}/check", responses=faults)
    def api_model_check_start(name: Name) -> Saved:
        """Check what every model promises, on made images."""
        window.looking.start(Subject.MODEL, known_model(window, name))
        return Saved(name=name)

    @router.get("/api/models/{name}/check", responses=faults)
    def api_model_check(name: Name) -> CheckUp | None:
        """The last check of a model; null where there was none."""
        return window.looking.last(Subject.MODEL, known_model(window, name))


def _named(tables: Sequence[PeerOrRoute], kind: Kind, name: str) -> PeerOrRoute:
    """Raises NotFound."""
    for one in tables:
        if one.name == name:
            return one
    raise NotFound(f"{kind.file} has no {kind.value} {name!r}")


def mark_in(if_match: str | None) -> str:
    """The mark of what must still be there; empty where any will do (RFC 9110 section 13.1.1)."""
    if if_match is None or if_match.strip() == "*":
        return ""
    mark = re.fullmatch(r'\s*"([^"]+)"\s*', if_match)
    return mark[1] if mark else NO_MARK


def _values(table: Peer | Route, present: Peer | None = None) -> Values:
    """A whole table: keys that are as usual are taken out, so that their defaults count. present: what it is now.

    Raises ConfigurationInvalid for another file of secrets than it has: that is for whoever edits the files.
    """
    given: Values = table.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    if wrong := [key for key in FILES if given.get(key) and given[key] != getattr(present, key, None)]:
        raise ConfigurationInvalid(f"{wrong[0]} is set in peers.toml alone: it says what the node reads on its disk")
    known = (field.alias or name for name, field in type(table).model_fields.items())
    return {key: given.get(key) for key in known if key not in FILES}
