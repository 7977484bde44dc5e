"""Source slices with the findings drawn over them, scrolled by wheel and keys, and the measurements beside."""

from fastapi import APIRouter, Request, Response

from node.admin.rendering import Pages
from node.admin.window import Window
from node.core.preview import CT_VIEWS
from node.state import work

VIEWS = {one.name: one for one in CT_VIEWS}


def add_to(router: APIRouter, window: Window, pages: Pages) -> None:
    """The routes of this group."""

    @router.get("/jobs/{key}/preview")
    def job_preview(request: Request, key: str) -> Response:
        with window.ledger.read() as connection:
            job = work.get_job(connection, key)
        return pages.page(request, "preview.html", job=job, preview=window.previews.open(key))

    @router.get("/jobs/{key}/slices/{number}.png")
    def job_slice(key: str, number: int, view: str = "", findings: bool = True) -> Response:
        """Slice `number`, counted from 1."""
        picture = window.previews.picture(key, number - 1, VIEWS.get(view), findings=findings)
        return Response(picture, media_type="image/png")
