"""Peers, routes, users and looks for programs: what the pages change, by the same calls."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import BaseModel, Field

from node.actions import NotPossible
from node.admin.accounts import change_user, disable_user, invite, remove_user, reset_link
from node.admin.window import Answer, Taken, Window
from node.core.checkup import CheckUp, Subject
from node.core.role import Role
from node.editing import Kind, Values
from node.errors import ConfigurationInvalid, IsocenterError, NotFound
from node.settings import Peer, Route
from node.state import accounts

FILES = ("web_authorities", "web_secret_file", "web_secret_env", "passcode_file", "token_file")
Name = Annotated[str, Field(max_length=64)]


class Saved(BaseModel):
    """What was changed; the node takes it up within seconds."""

    name: str


class Move(BaseModel):
    """by: up (-1) or down (1)."""

    by: Annotated[int, Field(ge=-1, le=1)]


class UserTold(BaseModel):
    """A user of the window."""

    name: str
    role: Role
    sees_names: bool
    can_sign_in: bool
    created_at: datetime


class UserRight(BaseModel):
    """What a user may do. sees_names: a viewer sees patients' numbers."""

    role: Role
    sees_names: bool = False


class NewUser(UserRight):
    """A user to be."""

    name: Name


class Code(BaseModel):
    """With which a user chooses a password at /reset?code=…, once and within a day."""

    code: str


def add_to(router: APIRouter, window: Window, faults: dict[int | str, dict[str, Any]]) -> None:
    """The routes of this group. faults: how errors are described."""
    _add_peers(router, window, faults)
    _add_routes(router, window, faults)
    _add_users(router, window, faults)
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

    @router.put("/api/peers/{name}", responses=faults)
    def api_peer_edit(name: Name, peer: Peer) -> Saved:
        """Change a peer to what is given; what is not given is as usual."""
        window.editor.change(Kind.PEER, name, _values(peer))
        return Saved(name=peer.name)

    @router.delete("/api/peers/{name}", responses=faults)
    def api_peer_remove(name: Name) -> Saved:
        """Remove a peer."""
        window.editor.remove(Kind.PEER, name)
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

    @router.put("/api/routes/{name}", responses=faults)
    def api_route_edit(name: Name, route: Route) -> Saved:
        """Change a route to what is given; what is not given is as usual."""
        window.editor.change(Kind.ROUTE, name, _values(route))
        return Saved(name=route.name)

    @router.delete("/api/routes/{name}", responses=faults)
    def api_route_remove(name: Name) -> Saved:
        """Remove a route."""
        window.editor.remove(Kind.ROUTE, name)
        return Saved(name=name)

    @router.post("/api/routes/{name}/move", responses=faults)
    def api_route_move(name: Name, move: Move) -> Saved:
        """Move a route up or down by one."""
        window.editor.move(Kind.ROUTE, name, move.by)
        return Saved(name=name)


def _add_users(router: APIRouter, window: Window, faults: dict[int | str, dict[str, Any]]) -> None:
    @router.get("/api/users", responses=faults)
    def api_users() -> list[UserTold]:
        """Who may use the window."""
        with window.ledger.read() as connection:
            found = accounts.users(connection)
        return [UserTold(**{name: getattr(one, name) for name in UserTold.model_fields}) for one in found]

    @router.post("/api/users", responses=faults)
    def api_user_add(user: NewUser) -> Code:
        """Add a user, who chooses a password by the code."""
        return Code(code=invite(window.ledger, user.name, user.role, window.now(), sees_names=user.sees_names))

    @router.put("/api/users/{name}", responses=faults)
    def api_user_change(name: Name, right: UserRight) -> Saved:
        """Give a user another role."""
        change_user(window.ledger, name, right.role, sees_names=right.sees_names)
        return Saved(name=name)

    @router.post("/api/users/{name}/reset", responses=faults)
    def api_user_reset(name: Name) -> Code:
        """Let a user choose a new password."""
        return Code(code=reset_link(window.ledger, name, window.now()))

    @router.post("/api/users/{name}/disable", responses=faults)
    def api_user_disable(name: Name) -> Saved:
        """Let a user in no more until a new link is used."""
        disable_user(window.ledger, name)
        return Saved(name=name)

    @router.delete("/api/users/{name}", responses=faults)
    def api_user_remove(name: Name) -> Saved:
        """Remove a user."""
        remove_user(window.ledger, name)
        return Saved(name=name)


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


def _values(table: Peer | Route) -> Values:
    """A whole table: keys that were not given are taken out, so that their defaults count.

    Raises ConfigurationInvalid for a key that names a file of secrets: that is for whoever edits the files.
    """
    given: Values = table.model_dump(mode="json", by_alias=True, exclude_unset=True)
    if wrong := [key for key in FILES if given.get(key)]:
        raise ConfigurationInvalid(f"{wrong[0]} is set in peers.toml alone: it says what the node reads on its disk")
    known = (field.alias or name for name, field in type(table).model_fields.items())
    return {key: given.get(key) for key in known if key not in FILES}
