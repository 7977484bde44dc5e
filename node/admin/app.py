"""The operator's window as one application: pages, API and health, each behind the guard."""

import tempfile
from http import HTTPStatus

from fastapi import Depends, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, RedirectResponse
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException

from node import __version__
from node.admin import api, health
from node.admin.accounts import FirstUser
from node.admin.live import Live
from node.admin.pages import (
    associations,
    correcting,
    door,
    downloads,
    models,
    outbox,
    overview,
    peers,
    preview,
    routes,
    steering,
    studies,
    system,
    users,
)
from node.admin.rendering import STATIC, Pages, is_by_script, is_fragment
from node.admin.security import SAFE, Guard, NotAllowed, NotSignedIn, Unusable
from node.admin.shell import Shell
from node.admin.window import Window
from node.errors import ChangedMeanwhile, ConfigurationInvalid, IsocenterError, NotFound, NotPossible
from node.state.disk import NO_ROOM

BODY_LIMIT = 64 << 10
"""The longest form has some kilobytes, and is read before it is known who sends it."""
AS_JSON = "send a body as JSON, with Content-Type: application/json"
STATUS: tuple[tuple[type[Exception], int], ...] = (
    (NotSignedIn, 401),
    (NotAllowed, 403),
    (NotFound, 404),
    (ChangedMeanwhile, 412),
    (NotPossible, 409),
    (ConfigurationInvalid, 422),
    (Unusable, 422),
    (IsocenterError, 500),
)
"""What an error means in HTTP; the first class that fits counts."""


def window_app(window: Window, first_user: FirstUser) -> FastAPI:
    """The application. It holds nothing that must survive: facts are in the ledger, and files in the home."""
    app = FastAPI(
        title="Isocenter",
        version=__version__,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        dependencies=[Depends(Guard(window, first_user))],
    )
    pages = Pages(window)
    router = app.router
    health.add_to(router, window.look, window.metrics)
    door.add_to(router, window, pages, first_user)
    live = Live(window)
    overview.add_to(router, pages, live)
    studies.add_to(router, window, pages)
    steering.add_to(router, window)
    correcting.add_to(router, window, pages)
    downloads.add_to(router, window)
    preview.add_to(router, window, pages)
    outbox.add_to(router, window, pages)
    associations.add_to(router, window, pages)
    models.add_to(router, window, pages)
    peers.add_to(router, window, pages)
    routes.add_to(router, window, pages)
    system.add_to(router, window, pages, live)
    users.add_to(router, window, pages)
    api.add_to(app, window, pages, live)
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    app.add_middleware(Shell, body_limit=BODY_LIMIT, uploads={"/routes/try": routes.UPLOAD_LIMIT}, static="/static/")
    _add_answers_to_errors(app, pages)
    return app


def _add_answers_to_errors(app: FastAPI, pages: Pages) -> None:
    @app.exception_handler(IsocenterError)
    def known(request: Request, error: IsocenterError) -> Response:
        status = next(code for kind, code in STATUS if isinstance(error, kind))
        if isinstance(error, NotSignedIn) and not _is_api(request):
            if not is_by_script(request):
                return RedirectResponse(door.way_to(request), 303)
            if request.method in SAFE:  # what is shown is no more for whoever stands before it
                return Response(status_code=200, headers={"HX-Redirect": door.way_to(request)})
        return _told(request, pages, status, str(error))

    @app.exception_handler(OSError)
    def full(request: Request, error: OSError) -> Response:
        """A disk that is full or read-only is no fault of ours; anything else is."""
        if error.errno not in NO_ROOM:
            raise error
        where = f"the disk of the home, or of {tempfile.gettempdir()}, where files lie for a moment"
        return _told(request, pages, 507, f"there was no room for this ({error.strerror}): make room on {where}")

    @app.exception_handler(RequestValidationError)
    def unusable(request: Request, error: RequestValidationError) -> Response:
        found = sorted({(_place_of(one["loc"]), str(one["msg"])) for one in error.errors()})
        words = "; ".join(f"{place}: {words}" for place, words in found)
        is_typed = request.headers.get("Content-Type", "").lower().startswith("application/json")
        is_body_lacking = any(one["loc"] == ("body",) for one in error.errors())
        advice = "; " + AS_JSON if is_body_lacking and _is_api(request) and not is_typed else ""
        return _told(request, pages, 422, f"this cannot be used: {words}{advice}")

    @app.exception_handler(HTTPException)
    def other(request: Request, error: HTTPException) -> Response:
        why = "nothing is at this address" if error.status_code == HTTPStatus.NOT_FOUND else str(error.detail)
        answer = _told(request, pages, error.status_code, why)
        answer.headers.update(error.headers or {})  # of 405: which methods there are
        return answer


def _place_of(path: tuple[str | int, ...]) -> str:
    """Where the fault is: keys and places in lists, without the part of the request they are in."""
    return ".".join(str(one) for one in path[1:]) or str(path[0])


def _told(request: Request, pages: Pages, status: int, why: str) -> Response:
    """An error in words: JSON for programs, a line for htmx, a page for people."""
    if _is_api(request):
        return JSONResponse({"why": why}, status)
    if not hasattr(request.state, "visitor"):
        request.state.visitor = None
    return pages.page(request, "_fault.html" if is_fragment(request) else "fault.html", status=status, why=why)


def _is_api(request: Request) -> bool:
    return request.url.path.startswith("/api/") or request.url.path in ("/live", "/ready", "/metrics")
