"""Deliveries for programs: listed, compared with what their destination has registered, and corrected by that."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel

from node.admin.api_places import IfMatch, Name, mark_in
from node.admin.moments import Moment
from node.admin.window import Window
from node.core.identity import Differing
from node.core.job import DeliveryState
from node.state.listings import PAGE, OnItsWay, deliveries


class Corrected(BaseModel):
    """jobs: how many of the study's jobs run again."""

    jobs: int


def add_to(router: APIRouter, window: Window, faults: dict[int | str, dict[str, Any]]) -> None:
    """The routes of this group. faults: how errors are described."""

    @router.get("/api/deliveries", responses=faults)
    def api_deliveries(
        state: DeliveryState | None = None,
        destination: Annotated[Name, Query()] = "",
        before_at: Moment | None = None,
        before_id: Annotated[Name, Query()] = "",
    ) -> list[OnItsWay]:
        """All deliveries, the newest first, 50 at a time: of one state, or for one destination, where that is asked
        for. before_at, before_id: created_at and id of the last one seen."""
        before = (before_at, before_id) if before_at else None
        with window.ledger.read() as connection:
            return deliveries(connection, state, destination, before)[:PAGE]

    @router.get("/api/deliveries/{key}/registered", responses=faults)
    def api_registered(key: Name, response: Response) -> Differing:
        """Ask a delivery's destination whose study it is; 409 where that is what the results say. The ETag, given back
        as If-Match, keeps a correction from stating something else than this."""
        found = window.registered(key)
        response.headers["ETag"] = f'"{found.mark}"'
        return found

    @router.post("/api/deliveries/{key}/correct", responses=faults)
    def api_correct(key: Name, if_match: IfMatch = None) -> Corrected:
        """Make the study's results anew with the patient and accession number that the destination has for it."""
        return Corrected(jobs=window.correct(key, seen=mark_in(if_match)))
