"""The same facts and actions for programs: REST with OpenAPI, behind the same guard as the pages."""

import functools
from datetime import datetime
from enum import Enum
from typing import Annotated, Any

from fastapi import APIRouter, FastAPI, Query, Request, Response
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel, Field

from node import __version__
from node.actions import Resent
from node.admin import api_deliveries, api_places, api_users
from node.admin.health import Health
from node.admin.live import Live, Present
from node.admin.moments import Moment
from node.admin.privacy import seen, seen_page, seen_story
from node.admin.rendering import Pages
from node.admin.security import visitor_of
from node.admin.window import ModelShown, Window
from node.core.job import JobState
from node.core.outcome import Outcome
from node.core.pausable import Pausable
from node.state import arrivals, work
from node.state.listings import PAGE, Call, ModelRun, OnItsWay, calls, on_their_way, runs_of
from node.state.overview import Journey
from node.state.pauses import Paused, paused
from node.state.rows import StudyRow
from node.state.search import Page as StudyPage
from node.state.search import Wanted, search
from node.state.story import Story, story

Date = Annotated[str, Field(pattern=r"^(\d{8})?$")]
Word = Annotated[str, Field(max_length=100, pattern=r"^[^\x00-\x1f\x7f]*$")]
Key = Annotated[str, Field(max_length=64)]


class StudyAction(str, Enum):
    """What is done with a study."""

    COMPLETE = "complete"
    RELEASE = "release"
    RELEASE_LATEST = "release-latest"


class JobAction(str, Enum):
    """What is done with a job."""

    RETRY = "retry"
    AGAIN = "again"
    CANCEL = "cancel"


class Search(BaseModel):
    """What studies are looked for; empty means any.

    text: how a patient's id, an accession number, a Study Instance UID or an id begins. since, until: study dates,
    YYYYMMDD. before_at, before_id: last_at and id of the last study seen.
    """

    text: Word = ""
    since: Date = ""
    until: Date = ""
    modality: Word = ""
    sender: Word = ""
    route: Word = ""
    outcome: Outcome | None = None
    before_at: Moment | None = None
    before_id: Word = ""


class Now(BaseModel):
    """What the overview shows."""

    journey: Journey
    needs_a_person: list[str]
    health: Health


class Done(BaseModel):
    """What was acted on."""

    id: str


class Why(BaseModel):
    """Why it is done. reason: in words, for whoever looks for these results."""

    reason: Annotated[str, Field(min_length=1, max_length=300, pattern=r"^[^\x00]*$")]


class Fault(BaseModel):
    """An error in words."""

    why: str


FAULTS: dict[int | str, dict[str, Any]] = {
    400: {"model": Fault, "description": "not to be understood"},
    401: {"model": Fault, "description": "no token, or one that does not count"},
    403: {"model": Fault, "description": "the token's role may not do this"},
    404: {"model": Fault, "description": "what was named does not exist"},
    409: {"model": Fault, "description": "it does not suit the present state"},
    412: {"model": Fault, "description": "somebody else has changed it since it was read"},
    422: {"model": Fault, "description": "a value cannot be used"},
}


def add_to(app: FastAPI, window: Window, pages: Pages, live: Live) -> None:
    """The routes below /api."""
    router = app.router
    _add_looking(router, window, live)
    _add_steering(router, window)
    api_deliveries.add_to(router, window, FAULTS)
    api_places.add_to(router, window, FAULTS)
    api_users.add_to(router, window, FAULTS)

    @functools.cache
    def schema() -> dict[str, Any]:
        return _schema(app)

    @router.get("/api", include_in_schema=False)
    def api_page(request: Request) -> Response:
        return pages.page(request, "api.html", paths=schema()["paths"])

    @router.get("/api/openapi.json", include_in_schema=False)
    def api_schema() -> dict[str, Any]:
        return schema()


def _schema(app: FastAPI) -> dict[str, Any]:
    routes = [one for one in app.routes if getattr(one, "path", "").startswith("/api/")]
    found = get_openapi(title="Isocenter", version=__version__, routes=routes)
    found["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    found["security"] = [{"token": []}]
    return found


def _add_looking(router: APIRouter, window: Window, live: Live) -> None:
    @router.get("/api/now", responses=FAULTS)
    def api_now() -> Now:
        """What is in each part of the journey now, and what needs a person."""
        found: Present = live.present()
        concerns = [f"{one.title}: {one.detail}" for one in found.concerns]
        return Now(journey=found.journey, needs_a_person=concerns, health=found.health)

    @router.post("/api/studies/search", responses=FAULTS)
    def api_search(request: Request, wanted: Search) -> StudyPage:
        """Studies, the newest first, 50 at a time. It is a POST so that no address names a patient."""
        visitor = visitor_of(request)
        before = (wanted.before_at, wanted.before_id) if wanted.before_at else None
        asked = wanted.model_dump(exclude={"before_at", "before_id"})
        with window.ledger.read() as connection:
            found = search(connection, Wanted(**asked, by_patient=visitor.sees_names, before=before))
        return seen_page(found, visitor)

    @router.get("/api/studies/{key}", responses=FAULTS)
    def api_study(request: Request, key: Key) -> Story:
        """All that is known of one study, by its id or Study Instance UID."""
        with window.ledger.read() as connection:
            return seen_story(story(connection, key), visitor_of(request))

    @router.get("/api/outbox", responses=FAULTS)
    def api_outbox() -> list[OnItsWay]:
        """Deliveries that are not done with, the parked ones first; 500 of each state and destination at most."""
        with window.ledger.read() as connection:
            return on_their_way(connection)

    @router.get("/api/associations", responses=FAULTS)
    def api_associations(
        rejected: bool = False, before_at: Moment | None = None, before_id: Annotated[Word, Query()] = ""
    ) -> list[Call]:
        """Associations that ended, the newest first, 50 at a time."""
        before: tuple[datetime, str] | None = (before_at, before_id) if before_at else None
        with window.ledger.read() as connection:
            return calls(connection, rejected=rejected, before=before)[:PAGE]

    @router.get("/api/models", responses=FAULTS)
    def api_models() -> list[ModelShown]:
        """Models that are installed."""
        return list(window.models())

    @router.get("/api/models/{name}/runs", responses=FAULTS)
    def api_model_runs(name: Key, state: JobState | None = None) -> list[ModelRun]:
        """Its last ten jobs, the newest first; of one state where that is asked for."""
        with window.ledger.read() as connection:
            return runs_of(connection, name, state)

    @router.get("/api/pauses", responses=FAULTS)
    def api_pauses() -> list[Paused]:
        """What an operator has paused."""
        with window.ledger.read() as connection:
            return paused(connection)


def _add_steering(router: APIRouter, window: Window) -> None:
    operator = window.operator

    @router.post("/api/studies/{key}/{action}", responses=FAULTS)
    def api_steer_study(request: Request, key: Key, action: StudyAction) -> StudyRow:
        """Take a study as complete now, or let a held one go on (with its first, or its later images)."""
        match action:
            case StudyAction.COMPLETE:
                identity = operator.complete(key, window.now())
            case StudyAction.RELEASE | StudyAction.RELEASE_LATEST:
                identity = operator.release(key, window.now(), latest=action is StudyAction.RELEASE_LATEST)
        with window.ledger.read() as connection:
            return seen(arrivals.get_study(connection, identity), visitor_of(request))

    @router.post("/api/jobs/{key}/{action}", responses=FAULTS)
    def api_steer_job(key: Key, action: JobAction) -> Done:
        """Retry a job from the stage where it ended, run it again from the start, or cancel it."""
        steer = {JobAction.RETRY: operator.retry, JobAction.AGAIN: operator.again, JobAction.CANCEL: operator.cancel}
        steer[action](key, window.now())
        with window.ledger.read() as connection:
            return Done(id=work.get_job(connection, key).id)

    @router.post("/api/deliveries/{key}/resend", responses=FAULTS)
    def api_resend(key: Key) -> Done:
        """Send a delivery now: what waits, what is parked, or what was delivered once more in full."""
        operator.resend(key, window.now())
        return Done(id=key)

    @router.post("/api/destination/{name}/resend", responses=FAULTS)
    def api_resend_parked(name: Key) -> Resent:
        """Send now whatever is parked for a destination; what newer results replaced is not."""
        return operator.resend_parked(name, window.now())

    @router.post("/api/deliveries/{key}/drop", responses=FAULTS)
    def api_drop(key: Key, why: Why) -> Done:
        """Give a delivery up that waits or is parked."""
        operator.drop(key, why.reason, window.now())
        return Done(id=key)

    @router.post("/api/{kind}/{name}/pause", responses=FAULTS)
    def api_pause(kind: Pausable, name: Key) -> Done:
        """Start nothing more of a route, a model or a destination."""
        window.check_pausable(kind, name)
        operator.pause(kind, name, window.now())
        return Done(id=name)

    @router.post("/api/{kind}/{name}/resume", responses=FAULTS)
    def api_resume(kind: Pausable, name: Key) -> Done:
        """Go on with what waited."""
        operator.resume(kind, name, window.now())
        return Done(id=name)
