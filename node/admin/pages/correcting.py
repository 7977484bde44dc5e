"""Whose study it is, as a delivery's results say and as its destination has it: seen side by side, then corrected."""

from typing import Annotated

from fastapi import APIRouter, Form, Request, Response

from node.admin.pages.steering import back_to_study, study_of_delivery
from node.admin.rendering import Pages
from node.admin.window import Window


def add_to(router: APIRouter, window: Window, pages: Pages) -> None:
    """The routes of this group."""

    @router.get("/deliveries/{key}/correct")
    def delivery_compare(request: Request, key: str) -> Response:
        """Both; the destination is asked. A visitor who may do this sees patients."""
        found = window.registered(key)
        return pages.page(request, "correct.html", key=key, study=study_of_delivery(window, key), found=found)

    @router.post("/deliveries/{key}/correct")
    def delivery_correct(key: str, seen: Annotated[str, Form(min_length=1, max_length=64)]) -> Response:
        window.correct(key, seen=seen)
        return back_to_study(study_of_delivery(window, key), "correct")
