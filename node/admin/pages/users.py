"""Who may use the window, and which programs the API: added, changed, let in no more; each secret is told once."""

from typing import Annotated

from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import RedirectResponse

from node.admin.accounts import change_user, disable_user, invite, new_token, remove_user, reset_link
from node.admin.rendering import Pages
from node.admin.security import visitor_of
from node.admin.window import Window
from node.core.role import Role
from node.errors import ConfigurationInvalid
from node.state import accounts

Name = Annotated[str, Form(max_length=64)]
SAID = {
    "changed": "Changed; what is different holds from the next page on.",
    "disabled": "Signed out everywhere, and let in no more until a new link is used.",
    "removed": "Removed, and signed out everywhere.",
    "token-removed": "That program is let in no more.",
}
ROLE_WORDS = {
    Role.VIEWER: "looks",
    Role.OPERATOR: "looks and steers studies, jobs and deliveries",
    Role.ADMIN: "also changes peers, routes and users",
}


def add_to(router: APIRouter, window: Window, pages: Pages) -> None:
    """The routes of this group."""

    def link(request: Request, code: str) -> str:
        return f"{request.base_url}reset?code={code}"

    @router.get("/users")
    def users_page(request: Request, done: str = "") -> Response:
        return _listed(request, window, pages, done=SAID.get(done, ""))

    @router.post("/users/add")
    def user_add(
        request: Request, name: Name, role: Annotated[Role, Form()], names: Annotated[bool, Form()] = False
    ) -> Response:
        """A user without a password yet: the link, told once, lets whoever opens it choose one."""
        code = invite(window.ledger, name, role, window.now(), sees_names=names)
        return _listed(
            request, window, pages, told=f"{name} chooses a password here, within a day", secret=link(request, code)
        )

    @router.post("/users/{name}/change")
    def user_change(name: str, role: Annotated[Role, Form()], names: Annotated[bool, Form()] = False) -> Response:
        change_user(window.ledger, name, role, sees_names=names)
        return RedirectResponse("/users?done=changed", 303)

    @router.post("/users/{name}/reset")
    def user_reset(request: Request, name: str) -> Response:
        """The old password counts until the link is used."""
        code = reset_link(window.ledger, name, window.now())
        return _listed(
            request, window, pages, told=f"{name} chooses a new password here, within a day", secret=link(request, code)
        )

    @router.post("/users/{name}/disable")
    def user_disable(request: Request, name: str) -> Response:
        _check_not_oneself(request, name)
        disable_user(window.ledger, name)
        return RedirectResponse("/users?done=disabled", 303)

    @router.post("/users/{name}/remove")
    def user_remove(request: Request, name: str) -> Response:
        _check_not_oneself(request, name)
        remove_user(window.ledger, name)
        return RedirectResponse("/users?done=removed", 303)

    _add_tokens_to(router, window, pages)


def _add_tokens_to(router: APIRouter, window: Window, pages: Pages) -> None:
    @router.post("/tokens/add")
    def token_add(request: Request, name: Name, role: Annotated[Role, Form()]) -> Response:
        secret = new_token(window.ledger, name, role, visitor_of(request).name, window.now())
        return _listed(request, window, pages, told=f"The token of {name}; it is shown this once", secret=secret)

    @router.post("/tokens/{name}/remove")
    def token_remove(name: str) -> Response:
        with window.ledger.write() as connection:
            accounts.remove_token(connection, name)
        return RedirectResponse("/users?done=token-removed", 303)


def _listed(
    request: Request, window: Window, pages: Pages, *, told: str = "", secret: str = "", done: str = ""
) -> Response:
    with window.ledger.read() as connection:
        found, programs = accounts.users(connection), accounts.tokens(connection)
    return pages.page(
        request, "users.html", users=found, tokens=programs, roles=ROLE_WORDS, told=told, secret=secret, done=done
    )


def _check_not_oneself(request: Request, name: str) -> None:
    if name == visitor_of(request).name:
        raise ConfigurationInvalid("nobody shuts themselves out: let another admin do it")
