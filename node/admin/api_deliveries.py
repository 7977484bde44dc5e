"""Whose study a delivery is of, for programs: as its destination has it, and the results made anew with that."""

from typing import Any

from fastapi import APIRouter, Response
from pydantic import BaseModel

from node.admin.api_places import IfMatch, Name, mark_in
from node.admin.window import Window
from node.core.identity import Differing


class Corrected(BaseModel):
    """jobs: how many of the study's jobs run again."""

    jobs: int


def add_to(router: APIRouter, window: Window, faults: dict[int | str, dict[str, Any]]) -> None:
    """The routes of this group. faults: how errors are described."""

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
