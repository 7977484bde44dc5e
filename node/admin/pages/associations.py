"""Who called: accepted or not, why, and what to change."""

from fastapi import APIRouter, Request, Response

from node.admin.moments import Moment
from node.admin.rendering import Pages, is_fragment
from node.admin.window import Window
from node.state.associations import Associations
from node.state.listings import PAGE, calls


def add_to(router: APIRouter, window: Window, pages: Pages) -> None:
    """The routes of this group."""

    @router.get("/associations")
    def associations_page(
        request: Request, only: str = "", before_at: Moment | None = None, before_id: str = ""
    ) -> Response:
        before = (before_at, before_id) if before_at is not None else None
        with window.ledger.read() as connection:
            found = calls(connection, rejected=only == "rejected", before=before)
        is_open = [one for one in Associations(window.home).records() if one.is_open] if before is None else []
        return pages.page(
            request,
            "_associations.html" if is_fragment(request) else "associations.html",
            found=found[:PAGE],
            has_more=len(found) > PAGE,
            opened=is_open,
            only=only,
        )
