"""Signing in and out, the first user, and choosing a password by a link."""

import time
from typing import Annotated

from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import RedirectResponse

from node.admin.accounts import FirstUser, check_password, choose_password, user_of_link
from node.admin.patience import Patience
from node.admin.rendering import Pages
from node.admin.sessions import COOKIE, LONGEST, close_session, open_session
from node.admin.window import Window
from node.errors import ConfigurationInvalid
from node.state.accounts import UserRow

Field = Annotated[str, Form(max_length=300)]


def add_to(router: APIRouter, window: Window, pages: Pages, first_user: FirstUser) -> None:
    """The routes of this group."""
    patience = Patience()

    @router.get("/sign-in")
    def sign_in_page(request: Request) -> Response:
        return pages.page(request, "sign_in.html", is_first=first_user.is_due(), why="", name="")

    @router.post("/sign-in")
    def sign_in(request: Request, name: Field, password: Field) -> Response:
        address = request.client.host if request.client else ""
        wait_s = patience.begin(name, address, time.monotonic())
        if wait_s > 0:
            why = f"Too many tries. Wait {wait_s / 60:.0f} minutes, then try again."
            return pages.page(request, "sign_in.html", status=429, is_first=False, why=why, name=name)
        user = check_password(window.ledger, name, password)
        if user is None:
            why = "The name or the password is wrong."
            return pages.page(request, "sign_in.html", status=403, is_first=False, why=why, name=name)
        patience.succeeded(name, address)
        return _signed_in(request, window, user)

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

    @router.post("/sign-out")
    def sign_out(request: Request) -> Response:
        close_session(window.ledger, request.cookies.get(COOKIE, ""))
        response = RedirectResponse("/sign-in", 303)
        response.delete_cookie(COOKIE, path="/")
        return response

    _add_choosing_to(router, window, pages)


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


def _signed_in(request: Request, window: Window, user: UserRow) -> Response:
    response = RedirectResponse("/", 303)
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
