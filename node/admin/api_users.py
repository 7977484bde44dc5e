"""Who may use the window, and which programs the API, for programs: by the same calls as the page."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from node.admin.accounts import change_user, disable_user, invite, new_token, remove_user, reset_link
from node.admin.security import visitor_of
from node.admin.window import Window
from node.core.role import Role
from node.state import accounts

Name = Annotated[str, Field(max_length=64)]


class Changed(BaseModel):
    """Who was changed; it holds at once."""

    name: str


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


class TokenTold(BaseModel):
    """A program that may use the API."""

    name: str
    role: Role
    created_at: datetime
    created_by: str


class NewToken(BaseModel):
    """A program to be let in, and what it may do."""

    name: Name
    role: Role


class Token(BaseModel):
    """What the program sends as `Authorization: Bearer …`; it is told this once."""

    token: str


def add_to(router: APIRouter, window: Window, faults: dict[int | str, dict[str, Any]]) -> None:
    """The routes of this group. faults: how errors are described."""
    _add_users(router, window, faults)
    _add_tokens(router, window, faults)


def _add_users(router: APIRouter, window: Window, faults: dict[int | str, dict[str, Any]]) -> None:
    @router.get("/api/users", responses=faults)
    def api_users() -> list[UserTold]:
        """Who may use the window."""
        with window.ledger.read() as connection:
            found = accounts.users(connection)
        return [UserTold.model_validate(one, from_attributes=True) for one in found]

    @router.post("/api/users", responses=faults)
    def api_user_add(user: NewUser) -> Code:
        """Add a user, who chooses a password by the code."""
        return Code(code=invite(window.ledger, user.name, user.role, window.now(), sees_names=user.sees_names))

    @router.put("/api/users/{name}", responses=faults)
    def api_user_change(name: Name, right: UserRight) -> Changed:
        """Give a user another role."""
        change_user(window.ledger, name, right.role, sees_names=right.sees_names)
        return Changed(name=name)

    @router.post("/api/users/{name}/reset", responses=faults)
    def api_user_reset(name: Name) -> Code:
        """Let a user choose a new password."""
        return Code(code=reset_link(window.ledger, name, window.now()))

    @router.post("/api/users/{name}/disable", responses=faults)
    def api_user_disable(name: Name) -> Changed:
        """Let a user in no more until a new link is used."""
        disable_user(window.ledger, name)
        return Changed(name=name)

    @router.delete("/api/users/{name}", responses=faults)
    def api_user_remove(name: Name) -> Changed:
        """Remove a user."""
        remove_user(window.ledger, name)
        return Changed(name=name)


def _add_tokens(router: APIRouter, window: Window, faults: dict[int | str, dict[str, Any]]) -> None:
    @router.get("/api/tokens", responses=faults)
    def api_tokens() -> list[TokenTold]:
        """Which programs may use the API."""
        with window.ledger.read() as connection:
            found = accounts.tokens(connection)
        return [TokenTold.model_validate(one, from_attributes=True) for one in found]

    @router.post("/api/tokens", responses=faults)
    def api_token_add(request: Request, wanted: NewToken) -> Token:
        """Let a program in."""
        by = visitor_of(request).name
        return Token(token=new_token(window.ledger, wanted.name, wanted.role, by, window.now()))

    @router.delete("/api/tokens/{name}", responses=faults)
    def api_token_remove(name: Name) -> Changed:
        """Let a program in no more."""
        with window.ledger.write() as connection:
            accounts.remove_token(connection, name)
        return Changed(name=name)
