"""Lets in who may come in: every request passes the guard."""

import ipaddress
import secrets

from fastapi import Request
from fastapi.concurrency import run_in_threadpool

from node.admin.accounts import FirstUser
from node.admin.rights import DOOR, PUBLIC, RIGHTS
from node.admin.sessions import COOKIE, Visitor, visitor_of_session, visitor_of_token
from node.admin.window import Window
from node.core.admission import plain_address
from node.core.role import Role
from node.errors import IsocenterError

SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
UPLOADS = frozenset({"routes_try"})
"""Routes that take files."""
FIELD, HEADER = "csrf", "X-CSRF-Token"


class NotSignedIn(IsocenterError):
    """The request comes from nobody we know."""


class NotAllowed(IsocenterError):
    """Who asks is known, and may not do this."""


class Unusable(IsocenterError):
    """What was sent holds what no text does."""


class Guard:
    """A dependency of every route: knows who asks, and whether RIGHTS lets them."""

    def __init__(self, window: Window, first: FirstUser) -> None:
        self._window, self._first = window, first

    async def __call__(self, request: Request) -> None:
        """Sets request.state.visitor. Raises NotSignedIn, NotAllowed or Unusable."""
        needed = RIGHTS.get(request.scope["route"].name)
        if needed is None:
            raise NotAllowed("nobody may do this: rights.py has no row for it")
        if request.method not in SAFE:
            _check_origin(request)
        request.state.visitor = None
        if needed is PUBLIC:
            return
        await run_in_threadpool(self._check_local, request)
        await _check_text(request)
        if needed is DOOR:
            return
        visitor = await run_in_threadpool(self._visitor, request)
        if not isinstance(needed, Role) or not visitor.role.may(needed):
            raise NotAllowed(f"this needs the role {needed.value}; {visitor.name} is {visitor.role.value}")
        if visitor.csrf and request.method not in SAFE:
            await _check_csrf(request, visitor)
        request.state.visitor = visitor

    def _check_local(self, request: Request) -> None:
        """Until there is a user, only who sits at this machine gets further. Raises NotAllowed."""
        if self._first.is_due() and not is_loopback(request):
            raise NotAllowed(
                "this node has no user yet: open the link that it printed at its start on the machine itself, "
                "or run `isocenter users add NAME --role admin` there"
            )

    def _visitor(self, request: Request) -> Visitor:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            visitor = visitor_of_token(self._window.ledger, token.strip())
        else:
            secret = request.cookies.get(COOKIE, "")
            visitor = visitor_of_session(self._window.ledger, secret, self._window.now()) if secret else None
        if visitor is None:
            raise NotSignedIn("sign in first, or send a token: Authorization: Bearer …")
        return visitor


def visitor_of(request: Request) -> Visitor:
    """Who asks; for routes that need a sign-in."""
    visitor = request.state.visitor
    assert isinstance(visitor, Visitor)  # noqa: S101  the guard saw to it
    return visitor


def is_loopback(request: Request) -> bool:
    """Whether the request comes from this machine itself."""
    try:
        return request.client is not None and ipaddress.ip_address(plain_address(request.client.host)).is_loopback
    except ValueError:
        return False


def _check_origin(request: Request) -> None:
    """A browser says from which site a request comes; another one's is refused. Programs say nothing."""
    site = request.headers.get("Sec-Fetch-Site", "none")
    origin = request.headers.get("Origin", "")
    host = request.headers.get("Host", "")
    if site not in ("none", "same-origin") or (origin and origin.partition("://")[2] != host):
        raise NotAllowed(
            "the request comes from another site; a proxy that stands before this node must pass on the Host it was "
            "asked for (docs/operate/install.md)"
        )


async def _check_text(request: Request) -> None:
    """A NUL stands in no name, and a database may not take one. Raises Unusable."""
    if _has_files(request) and request.scope["route"].name not in UPLOADS:
        raise Unusable("files are not taken here")
    given = [*request.path_params.values(), *request.query_params.values()]
    if _has_form(request):
        given += (await request.form()).values()
    if any(isinstance(one, str) and "\x00" in one for one in given):
        raise Unusable("a character that stands for nothing (NUL) is in what was sent")


def _has_form(request: Request) -> bool:
    return "form-urlencoded" in request.headers.get("Content-Type", "").lower()


def _has_files(request: Request) -> bool:
    """Files come with the header of htmx alone: they are not read before it is known who sends them."""
    return "multipart" in request.headers.get("Content-Type", "").lower()


async def _check_csrf(request: Request, visitor: Visitor) -> None:
    given = request.headers.get(HEADER, "")
    if not given and _has_form(request):
        field = (await request.form()).get(FIELD, "")
        given = field if isinstance(field, str) else ""
    if not secrets.compare_digest(given.encode(), visitor.csrf.encode()):
        raise NotAllowed("the form is too old or not ours: load the page again")
