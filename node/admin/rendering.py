"""Makes pages from templates: everything that is put into them is escaped."""

import hashlib
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from node import __version__
from node.admin import words
from node.admin.sessions import Visitor
from node.admin.window import Window
from node.core.role import Role
from node.editing import mark_of_table

HERE = Path(str(files("node.admin")))
TEMPLATES, STATIC = HERE / "templates", HERE / "static"


@dataclass(frozen=True)
class Place:
    """An entry of the navigation. needed: who sees it."""

    title: str
    path: str
    needed: Role = Role.VIEWER


PLACES = (
    Place("Overview", "/"),
    Place("Studies", "/studies"),
    Place("Outbox", "/outbox"),
    Place("Associations", "/associations"),
    Place("Peers", "/peers"),
    Place("Routes", "/routes"),
    Place("Models", "/models"),
    Place("System", "/system"),
    Place("Users", "/users", Role.ADMIN),
)
"""In the order in which they are shown; a group of pages adds its own here."""


class Pages:
    """The templates, and what every one of them knows."""

    def __init__(self, window: Window) -> None:
        self._environment = Environment(
            loader=FileSystemLoader(TEMPLATES),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.filters |= {
            "span": words.span,
            "clock": words.clock,
            "ago": words.ago_from(window.now),
            "megabytes": words.megabytes,
            "size": words.size,
            "day": words.day,
            "plain": words.plain,
            "tone": words.tone,
            "table_mark": mark_of_table,
        }
        self._environment.globals |= {
            "version": __version__,
            "places": PLACES,
            "Role": Role,
            "outcome_words": words.OUTCOME_WORDS,
        }
        self._window = window

    def page(self, request: Request, template: str, *, status: int = 200, **values: object) -> HTMLResponse:
        """A template as an answer. `values`, and: who asks, where, and the time."""
        return HTMLResponse(self.text(request, template, **values), status)

    def text(self, request: Request, template: str, **values: object) -> Markup:
        """A template as text that can stand within another: what was put into it is escaped already."""
        visitor: Visitor | None = getattr(request.state, "visitor", None)
        known = {
            "visitor": visitor,
            "csrf": visitor.csrf if visitor else "",
            "path": request.url.path,
            "now": self._window.now(),
            "may": lambda role: visitor is not None and visitor.role.may(role),
        }
        return Markup(self._environment.get_template(template).render({**known, **values}))  # noqa: S704  it was escaped


def is_by_script(request: Request) -> bool:
    """Whether htmx asks: the page stays, with whatever was typed into it, where it is answered an error."""
    return request.headers.get("HX-Request") == "true"


def is_fragment(request: Request) -> bool:
    """Whether htmx asks for a part of a page, to put it in place."""
    return is_by_script(request) and request.headers.get("HX-Boosted") != "true"


def mark_of(text: str) -> str:
    """By which a page says what it shows, so that it is sent again only where it differs."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]
