"""Signing in and out, the first user, and choosing a password by a link."""

import re
import time
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import RedirectResponse

from node.admin.accounts import FirstUser, check_password, choose_password, user_of_link
from node.admin.patience import Patience
from node.admin.rendering import Pages, is_by_script
from node.admin.sessions import COOKIE, LONGEST, close_session, open_session
from node.admin.window import Window
from node.errors import ConfigurationInvalid
from node.state.accounts import UserRow

Field = Annotated[str, Form(max_length=300)]
PAGE = re.compile(r"/(?![/\\])(?!.*\.zip)[!-\[\]-~]{0,200}")
"""A path on this node, with its query; browsers take // and \\ for the beginning of another host. Of a download
the door would stay on the screen."""


def add_to(router: APIRouter, window: Window, pages: Pages, first_user: FirstUser) -> None:
    """The routes of this group."""
    patience = Patience()

    def shown(
        request: Request, back: str, status: int = 200, why: str = "", name: str = "", *, is_first: bool = False
    ) -> Response:
        return pages.page(
            request, "sign_in.html", status=status, is_first=is_first, why=why, name=name, back=_own(back)
        )

    @router.get("/sign-in")
    def sign_in_page(request: Request, back: str = "") -> Response:
        return shown(request, back, is_first=first_user.is_due())

    @router.post("/sign-in")
    def sign_in(request: Request, name: Field, password: Field, back: Field = "") -> Response:
        address = request.client.host if request.client else ""
        wait_s = patience.begin(name, address, time.monotonic())
        if wait_s > 0:
            why = f"Too many tries. Wait {wait_s / 60:.0f} minutes, then try again."
            return shown(request, back, 429, why, name)
        user = check_password(window.ledger, name, password)
        if user is None:
            return shown(request, back, 403, "The name or the password is wrong.", name)
        patience.succeeded(name, address)
        return _signed_in(request, window, user, _own(back))

    @router.post("/sign-out")
    def sign_out(request: Request) -> Response:
        close_session(window.ledger, request.cookies.get(COOKIE, ""))
        response = RedirectResponse("/sign-in", 303)
        response.delete_cookie(COOKIE, path="/")
        return response

    _add_first_to(router, window, pages, first_user)
    _add_choosing_to(router, window, pages)


def _add_first_to(router: APIRouter, window: Window, pages: Pages, first_user: FirstUser) -> None:
    @router.get("/first")
    def first_page(request: Request, code: str = "") -> Response:
        return pages.page(request, "first.html", code=code, is_open=first_user.is_code(code), why="", name="")

    @router.post("/first")
    def first(request: Request, code: Field, name: Field, password: Field, again: Field) -> Response:
        why = "the two passwords differ" if password != again else ""
        if not why:
            try:
                return _signed_in(request, window, first_user.make(code, name, password, window.now()))
            except ConfigurationInvalid as error:
                why = str(error)
        is_open = first_user.is_code(code)
        return pages.page(request, "first.html", status=422, code=code, is_open=is_open, why=why, name=name)


def _add_choosing_to(router: APIRouter, window: Window, pages: Pages) -> None:
    @router.get("/reset")
    def reset_page(request: Request, code: str = "") -> Response:
        user = user_of_link(window.ledger, code, window.now())
        return pages.page(request, "reset.html", code=code, user=user.name if user else "", why="")

    @router.post("/reset")
    def reset(request: Request, code: Field, password: Field, again: Field) -> Response:
        """The password that somebody chose who was given a link."""
        why = "the two passwords differ" if password != again else ""
        if not why:
            try:
                return _signed_in(request, window, choose_password(window.ledger, code, password, window.now()))
            except ConfigurationInvalid as error:
                why = str(error)
        user = user_of_link(window.ledger, code, window.now())
        return pages.page(request, "reset.html", status=422, code=code, user=user.name if user else "", why=why)


def way_to(request: Request) -> str:
    """The address of the door for a request of somebody who is not signed in; it leads back to what they looked at."""
    if request.method == "GET" and not is_by_script(request):
        query = f"?{request.url.query}" if request.url.query else ""
        back = _own(request.url.path + query)
    else:  # of the page, without what it said of an earlier action
        page = request.headers.get("HX-Current-URL") or request.headers.get("Referer", "")
        back = _own("/" + page.partition("://")[2].partition("/")[2].partition("?")[0])
    return "/sign-in" if back == "/" else f"/sign-in?back={quote(back, safe='/')}"


def _own(path: str) -> str:
    """A page of this node where the text is one; the overview where it leads elsewhere."""
    return path if PAGE.fullmatch(path) else "/"


def _signed_in(request: Request, window: Window, user: UserRow, back: str = "/") -> Response:
    response = RedirectResponse(back, 303)
    response.set_cookie(
        COOKIE,
        open_session(window.ledger, user, window.now()),
        max_age=int(LONGEST.total_seconds()),
        path="/",
        httponly=True,
        samesite="lax",
        secure=request.url.scheme == "https",
    )
    return response
