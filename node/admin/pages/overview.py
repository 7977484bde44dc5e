"""The first page: the journey with what is in it now, what needs a person, turnaround, and the machine."""

from fastapi import APIRouter, Request, Response

from node.admin.live import Live
from node.admin.rendering import Pages, mark_of


def add_to(router: APIRouter, pages: Pages, live: Live) -> None:
    """The routes of this group."""

    def part(request: Request) -> tuple[str, str]:
        text = pages.text(request, "_overview.html", present=live.present())
        return text, mark_of(text)

    @router.get("/")
    def overview_page(request: Request) -> Response:
        text, mark = part(request)
        return pages.page(request, "overview.html", part=text, mark=mark)

    @router.get("/overview/live")
    def overview_live(request: Request, seen: str = "") -> Response:
        """The live part, or 204 where it is still what the page shows: then nothing on it moves."""
        text, mark = part(request)
        if seen == mark:
            return Response(status_code=204)
        return pages.page(request, "_live.html", path_live="/overview/live", part=text, mark=mark)
