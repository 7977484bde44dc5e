"""A look at something, as pages show it: a button, and below it what was seen, live while it lasts."""

from dataclasses import dataclass

from fastapi import Request
from fastapi.responses import HTMLResponse
from markupsafe import Markup

from node.admin.rendering import Pages
from node.admin.window import Window
from node.core.checkup import Subject
from node.core.role import Role
from node.errors import NotPossible


@dataclass(frozen=True)
class Look:
    """How a subject is offered. button: what starts it. sound: what is said where no fault was found."""

    button: str
    sound: str
    needed: Role


LOOKS: dict[Subject, Look] = {
    Subject.NODE: Look("Check now", "Nothing was found that keeps the node from its work.", Role.OPERATOR),
    Subject.JOURNEY: Look("Test now", "Every step did what it should.", Role.ADMIN),
    Subject.MODEL: Look("Check", "It keeps what every model promises.", Role.OPERATOR),
}


def begun(request: Request, pages: Pages, window: Window, subject: Subject, of: str = "") -> HTMLResponse:
    """Begin to look, and say so; or say why not."""
    try:
        window.looking.start(subject, of)
    except NotPossible as error:
        return HTMLResponse(shown(request, pages, window, subject, of, str(error)))
    return HTMLResponse(shown(request, pages, window, subject, of))


def shown(request: Request, pages: Pages, window: Window, subject: Subject, of: str = "", fault: str = "") -> Markup:
    """The button and the last look. of: the model. fault: why no other look was begun."""
    path = {Subject.NODE: "/system/check", Subject.JOURNEY: "/system/selftest"}.get(subject, f"/models/{of}/check")
    last = window.looking.last(subject, of)
    return pages.text(request, "_look.html", look=LOOKS[subject], last=last, at=path, fault=fault)
