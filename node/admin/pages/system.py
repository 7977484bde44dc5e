"""The node itself: versions, processes and faults, and a bundle of these for whoever helps, without patient data."""

import io
import json
import platform
import zipfile
from dataclasses import asdict
from importlib import metadata

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse

from node import __version__
from node.admin.live import Live
from node.admin.pages.looking import begun, shown
from node.admin.rendering import Pages
from node.admin.window import Window
from node.core.checkup import CheckUp, Subject
from node.settings import Configuration

PARTS = ("pydicom", "pynetdicom", "highdicom", "numpy", "dbos", "SQLAlchemy", "fastapi", "uvicorn")


def add_to(router: APIRouter, window: Window, pages: Pages, live: Live) -> None:
    """The routes of this group."""

    @router.get("/system")
    def system_page(request: Request) -> Response:
        return pages.page(
            request,
            "system.html",
            present=live.present(),
            versions=versions(),
            check=shown(request, pages, window, Subject.NODE),
            selftest=shown(request, pages, window, Subject.JOURNEY),
        )

    @router.post("/system/check")
    def check_start(request: Request) -> Response:
        """Look for everything that may keep the node from its work."""
        return begun(request, pages, window, Subject.NODE)

    @router.get("/system/check")
    def check_seen(request: Request) -> Response:
        return HTMLResponse(shown(request, pages, window, Subject.NODE))

    @router.post("/system/selftest")
    def selftest_start(request: Request) -> Response:
        """Let a phantom make the whole journey through a node of its own."""
        return begun(request, pages, window, Subject.JOURNEY)

    @router.get("/system/selftest")
    def selftest_seen(request: Request) -> Response:
        return HTMLResponse(shown(request, pages, window, Subject.JOURNEY))

    @router.get("/system/bundle.zip")
    def system_bundle() -> Response:
        found = live.present()
        content: dict[str, object] = {
            "versions.json": versions(),
            "settings.json": told_settings(window.configuration()),
            "journey.json": vars(found.journey),
            "health.json": asdict(found.health),
            "check.json": _plain(window.looking.last(Subject.NODE)),
            "selftest.json": _plain(window.looking.last(Subject.JOURNEY)),
        }
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as into:
            for name, value in content.items():
                into.writestr(name, json.dumps(value, indent=1, default=str))
        headers = {"Content-Disposition": 'attachment; filename="isocenter-diagnosis.zip"'}
        return Response(archive.getvalue(), media_type="application/zip", headers=headers)


def versions() -> dict[str, str]:
    """Of the product, of what it is built on, and of what it runs on."""
    parts = {name: metadata.version(name) for name in PARTS}
    return {"isocenter": __version__, "Python": platform.python_version(), "system": platform.platform(), **parts}


def told_settings(configuration: Configuration) -> dict[str, object]:
    """The configuration without what must not leave the house: no patients, no address of a database."""
    found = configuration.model_dump(mode="json", include={"settings", "peers", "routes"})
    found["settings"]["state"]["database_url"] = "set" if configuration.settings.state.database_url else ""
    found["settings"]["gathering"]["exclude_patients"] = len(configuration.settings.gathering.exclude_patients)
    return found


def _plain(one: CheckUp | None) -> dict[str, object] | None:
    return None if one is None else asdict(one)
