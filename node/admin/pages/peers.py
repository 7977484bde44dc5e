"""The peers: who may send, where results go, whether each answers; edited, and unknown callers accepted."""

import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import RedirectResponse

from node.admin.known import unknown_callers
from node.admin.pages.editing import SAVED, Short, fault_of
from node.admin.pages.peer_form import CALLER, FURTHER_RENDITIONS, GATHERING, PROFILE, REACHED, ROLES, PeerForm
from node.admin.rendering import Pages
from node.admin.window import Answer, Window
from node.core.expiry import mark_reached
from node.editing import Kind, caller_accepted
from node.errors import IsocenterError
from node.settings import RENDITIONS, Configuration
from node.state.certificates import CertificateFile, certificates_in_use

KINDS = ("pacs", "scanner", "workstation")
EVERYWHERE = ("0.0.0.0", "::")  # noqa: S104  compared, not bound


Filled = Annotated[PeerForm, Form()]


def add_to(router: APIRouter, window: Window, pages: Pages) -> None:
    """The routes of this group."""

    @router.get("/peers")
    def peers_page(request: Request, done: str = "") -> Response:
        configuration = window.editor.read()
        node = configuration.settings.node
        return pages.page(
            request,
            "peers.html",
            peers=configuration.peers,
            routes=configuration.routes,
            unknown=unknown_callers(window, configuration),
            node=node,
            host=socket.gethostname() if node.bind in EVERYWHERE else node.bind,
            kinds=KINDS,
            roles=ROLES,
            renditions=(*RENDITIONS, *FURTHER_RENDITIONS),
            groups={
                "How it is reached": REACHED,
                "How it gets results": PROFILE,
                "How its studies are taken": GATHERING,
                "Who it must be": CALLER,
            },
            certificates=list(ends_of(certificates_in_use(configuration), configuration, window.now())),
            tls=configuration.settings.tls,
            done=SAVED.get(done, ""),
        )

    @router.post("/peers/check")
    def peer_check(request: Request, form: Filled) -> Response:
        """What is wrong with a form that is being filled in."""
        return pages.page(request, "_checked.html", why=fault_of(window, Kind.PEER, form.of, form.values(), form.seen))

    @router.post("/peers/add")
    def peer_add(form: Filled) -> Response:
        window.editor.add(Kind.PEER, form.values())
        return _saved()

    @router.post("/peers/{name}/edit")
    def peer_edit(name: str, form: Filled) -> Response:
        window.editor.change(Kind.PEER, name, form.values(), seen=form.seen)
        return _saved()

    @router.post("/peers/{name}/remove")
    def peer_remove(name: str, seen: Annotated[Short, Form()] = "") -> Response:
        window.editor.remove(Kind.PEER, name, seen=seen)
        return _saved()

    @router.post("/peers/accept")
    def peer_accept(
        ae_title: Annotated[str, Form(max_length=64)], address: Annotated[str, Form(max_length=64)] = ""
    ) -> Response:
        window.editor.add(Kind.PEER, caller_accepted(ae_title, address))
        return _saved()

    _add_asking_to(router, window, pages)


def _add_asking_to(router: APIRouter, window: Window, pages: Pages) -> None:
    @router.post("/peers/{name}/echo")
    def peer_echo(request: Request, name: str) -> Response:
        """In words, whether it answers or not."""
        try:
            answer = window.asking.echo(name)
        except IsocenterError as error:
            answer = Answer(False, str(error))
        return pages.page(request, "_asked.html", answer=answer, taken=None)

    @router.post("/peers/{name}/probe")
    def peer_probe(request: Request, name: str) -> Response:
        """What it takes, and the lines proposed for its table."""
        try:
            taken = window.asking.probe(name)
        except IsocenterError as error:
            return pages.page(request, "_asked.html", answer=Answer(False, str(error)), taken=None)
        return pages.page(request, "_asked.html", answer=Answer(True, f"{name} answered."), taken=taken)


@dataclass(frozen=True)
class CertificateEnd:
    """A line of the list of certificates. state: ready, soon (it ends), or failed (it ended, is not valid yet, or is
    unusable)."""

    setting: str
    subject: str
    issuer: str
    not_after: datetime | None
    state: str
    words: str


def ends_of(files: Sequence[CertificateFile], configuration: Configuration, now: datetime) -> Iterator[CertificateEnd]:
    """Each certificate in use, and what comes of its end."""
    for file in files:
        if file.fault:
            yield CertificateEnd(file.setting, "", "", None, "failed", file.fault)
        for one in file.certificates:
            left_days = one.days_left(now)
            mark_days = mark_reached(left_days, configuration.settings.tls.warn_days)
            state = "ready" if mark_days is None else "soon" if mark_days else "failed"
            words = "ended" if state == "failed" else f"{left_days} days left"
            words += "" if mark_days is None else f": then {file.what_ends}"
            if one.not_before > now:
                state, words = "failed", f"not valid before {one.not_before:%Y-%m-%d %H:%M} UTC: {file.what_ends}"
            yield CertificateEnd(file.setting, one.subject, one.issuer, one.not_after, state, words)


def _saved() -> Response:
    return RedirectResponse("/peers?done=saved", 303)
