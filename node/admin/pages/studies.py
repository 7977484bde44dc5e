"""Finding studies, the story of one, and what may be done with it."""

import re
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Form, Request, Response
from pydantic import TypeAdapter, ValidationError

from node.admin.moments import Moment
from node.admin.pages.steering import DONE
from node.admin.privacy import seen_page, seen_story
from node.admin.rendering import Pages, is_fragment, mark_of
from node.admin.security import visitor_of
from node.admin.steps import steps_of
from node.admin.window import Window
from node.core.outcome import Outcome
from node.core.reasons import ADVICE
from node.state.arrivals import get_study
from node.state.search import Page, Wanted, search
from node.state.story import story

Text = Annotated[str, Form(max_length=100)]
ADVICE_WORDS = {reason.value: words for reason, words in ADVICE.items()}
MOMENT: TypeAdapter[datetime] = TypeAdapter(Moment)
DATE = re.compile(r"(\d{4})-?(\d{2})-?(\d{2})")


def add_to(router: APIRouter, window: Window, pages: Pages) -> None:
    """The routes of this group."""

    def found(wanted: Wanted) -> Page:
        with window.ledger.read() as connection:
            return search(connection, wanted)

    def listed(request: Request, wanted: Wanted, status: int = 200, why: str = "") -> Response:
        page = found(wanted) if not why else Page((), False)
        configured = window.configuration()
        return pages.page(
            request,
            "_studies.html" if is_fragment(request) else "studies.html",
            status=status,
            page=seen_page(page, visitor_of(request)),
            wanted=wanted,
            why=why,
            outcomes=list(Outcome),
            routes=[one.name for one in configured.routes],
            senders=sorted({one.ae_title for one in configured.peers}),
        )

    @router.get("/studies")
    def studies_page(request: Request, outcome: Outcome | None = None) -> Response:
        return listed(request, Wanted(outcome=outcome))

    @router.post("/studies")
    def studies_search(
        request: Request,
        text: Text = "",
        since: Text = "",
        until: Text = "",
        modality: Text = "",
        sender: Text = "",
        route: Text = "",
        outcome: Text = "",
        before_at: Text = "",
        before_id: Text = "",
    ) -> Response:
        """A search is posted, so that no patient's number stands in an address, a history or a proxy's log."""
        try:
            wanted = Wanted(
                text=text.strip(),
                by_patient=visitor_of(request).sees_names,
                since=_date(since),
                until=_date(until),
                modality=modality.strip().upper(),
                sender=sender.strip(),
                route=route.strip(),
                outcome=Outcome(outcome) if outcome else None,
                before=_before(before_at, before_id),
            )
        except ValueError as error:
            return listed(request, Wanted(), 422, str(error))
        return listed(request, wanted)

    @router.get("/studies/{key}")
    def study_page(request: Request, key: str, done: str = "") -> Response:
        text, mark = told(request, key)
        with window.ledger.read() as connection:
            study = get_study(connection, key)
        return pages.page(
            request,
            "study.html",
            part=text,
            mark=mark,
            study=study,
            done=DONE.get(done, ""),
            viewer=viewer_of(window, study.study_uid),
        )

    @router.get("/studies/{key}/live")
    def study_live(request: Request, key: str, seen: str = "") -> Response:
        """The story, or 204 where it is still what the page shows."""
        text, mark = told(request, key)
        if seen == mark:
            return Response(status_code=204)
        return pages.page(request, "_live.html", path_live=f"/studies/{key}/live", part=text, mark=mark)

    def told(request: Request, key: str) -> tuple[str, str]:
        with window.ledger.read() as connection:
            found = seen_story(story(connection, key), visitor_of(request))
        text = pages.text(request, "_story.html", told=found, steps=steps_of(found), advice=ADVICE_WORDS)
        return text, mark_of(text)


def viewer_of(window: Window, study_uid: str) -> str:
    """The address of the study in the site's viewer; empty where none is set."""
    return window.configuration().settings.admin.viewer_url.replace("{study_uid}", study_uid)


def _date(text: str) -> str:
    """A date as DICOM has it. Raises ValueError."""
    if not text.strip():
        return ""
    match = DATE.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is not a date: write it as 2026-03-01")
    return "".join(match.groups())


def _before(at: str, identity: str) -> tuple[datetime, str] | None:
    """The study after which the page begins. Raises ValueError."""
    try:
        return (MOMENT.validate_python(at), identity) if at else None
    except ValidationError as error:
        raise ValueError(f"{at!r} is no time that the list could go on from") from error
