"""OHIF Viewer in a real browser over an Orthanc's DICOMweb, as a radiologist would have it."""

import http.server
import io
import os
import re
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import httpx
import numpy as np
import numpy.typing as npt
from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

FLAGS = (
    "--no-sandbox", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--ignore-gpu-blocklist",
)  # fmt: skip
CONFIG = """window.config={routerBasename:null,extensions:[],modes:[],showStudyList:true,maxNumberOfWebWorkers:2,
investigationalUseDialog:{option:'never'},defaultDataSourceName:'dicomweb',dataSources:[{
namespace:'@ohif/extension-default.dataSourcesModule.dicomweb',sourceName:'dicomweb',configuration:{
friendlyName:'pacs',name:'pacs',wadoUriRoot:'/dicom-web',qidoRoot:'/dicom-web',wadoRoot:'/dicom-web',
qidoSupportsIncludeField:false,imageRendering:'wadors',thumbnailRendering:'wadors',enableStudyLazyLoad:true,
supportsFuzzyMatching:false,supportsWildcard:true,omitQuotationForMultipartRequest:true}}]};"""
SIZE = {"width": 1500, "height": 900}
SURROUNDINGS = 30
"""Grey value between the black around an image and air in a chest window."""
LIMIT_MS = 120_000
"""Everything is drawn by the processor here, and the machine may be busy."""


@dataclass
class Viewer:
    """The viewer's page. complaints: what it wrote to the browser's console as errors."""

    page: Page
    url: str
    complaints: list[str] = field(default_factory=list)

    def open(self, study_uid: str) -> None:
        """Open a study, and wait until its images are drawn."""
        self.page.goto(f"{self.url}/viewer?StudyInstanceUIDs={study_uid}", wait_until="domcontentloaded")
        self.page.wait_for_selector(".cornerstone-canvas", timeout=LIMIT_MS)
        self.settle()
        tour = "document.querySelectorAll('.shepherd-modal-overlay-container,.shepherd-element').forEach(e=>e.remove())"
        self.page.evaluate(tour)

    def open_series(self, description: str) -> None:
        """Double-click a series, and say yes where the viewer asks whether to load a segmentation."""
        self.page.get_by_text(description, exact=True).first.dblclick(timeout=LIMIT_MS)
        self.settle()
        if self.page.get_by_role("button", name="Yes").count():
            self.page.get_by_role("button", name="Yes").first.click()
            self.settle()

    def instance_number(self) -> int:
        """Of the image that is shown, by its place among all: "I: 7 (6/12)" is the sixth.

        The viewer's own number is of the series' other end where images are drawn as a volume.
        """
        (found,) = set(re.findall(r"I:\s*\d+\s*\((\d+)/", self.text()))
        return int(found)

    def picture(self) -> npt.NDArray[np.int16]:
        """The part of the screen that the image fills, with all that is drawn over it: (rows, columns, 3).

        The image is lighter than what surrounds it, from edge to edge.
        """
        box = self.page.locator(".cornerstone-canvas").first.bounding_box()
        assert box is not None
        left, top = round(box["x"]), round(box["y"])
        canvas = self.shown()[top : top + int(box["height"]), left : left + int(box["width"])].astype(np.int16)
        light = canvas.max(axis=2) > SURROUNDINGS
        across, down = (_middle_run(light.mean(axis=axis) > 0.5) for axis in (0, 1))
        return canvas[down, across]

    def drawn_text(self) -> str:
        """Words drawn over the image, such as an annotation's."""
        return str(self.page.evaluate("[...document.querySelectorAll('svg text')].map(e=>e.textContent).join(' ')"))

    def shown(self) -> npt.NDArray[np.uint8]:
        """What is on the screen: (rows, columns, 3)."""
        return np.asarray(Image.open(io.BytesIO(self.page.screenshot())).convert("RGB"))

    def text(self) -> str:
        """Every word on the screen."""
        return self.page.inner_text("body")

    def settle(self) -> None:
        """Wait until the screen stays as it is, for as long as that takes."""
        before, same = self.page.screenshot(), 0
        for _ in range(LIMIT_MS // 700):
            self.page.wait_for_timeout(700)
            after = self.page.screenshot()
            same = same + 1 if after == before else 0
            before = after
            if same >= 4:
                return


def _middle_run(lit: npt.NDArray[np.bool_]) -> slice:
    """What is lit without a gap around the middle: not the viewport's own frame."""
    dark = np.flatnonzero(np.concatenate([[False], lit, [False]]) == 0) - 1
    middle = len(lit) // 2
    return slice(int(dark[dark < middle].max()) + 1, int(dark[dark > middle].min()))


@contextmanager
def running_browser() -> Iterator[Browser]:
    """A Chromium without a window. Only one at a time: while it runs, no event loop can be started here."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=list(FLAGS))
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def ohif(browser: Browser, dicomweb: str) -> Iterator[Viewer]:
    """A viewer of what a PACS holds. dicomweb: the PACS's URL. The pages lie in the folder ISOCENTER_OHIF."""
    handler = partial(_Handler, directory=os.environ["ISOCENTER_OHIF"], dicomweb=dicomweb)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        page = browser.new_page(viewport=SIZE)
        try:
            viewer = Viewer(page, f"http://127.0.0.1:{server.server_address[1]}")
            viewer.page.on("console", lambda one: viewer.complaints.append(one.text) if one.type == "error" else None)
            viewer.page.on("pageerror", lambda error: viewer.complaints.append(str(error)))
            yield viewer
        finally:
            page.close()
            server.shutdown()


class _Handler(http.server.SimpleHTTPRequestHandler):
    """The viewer's pages, and /dicom-web handed on to the PACS."""

    protocol_version = "HTTP/1.1"

    def __init__(self, *arguments: object, directory: str, dicomweb: str) -> None:
        self._dicomweb = dicomweb
        super().__init__(*arguments, directory=directory)

    def log_message(self, *_: object) -> None:
        """Tests need no access log."""

    def end_headers(self) -> None:
        self.send_header("Cross-Origin-Opener-Policy", "same-origin")
        self.send_header("Cross-Origin-Embedder-Policy", "require-corp")
        super().end_headers()

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path.startswith("/dicom-web"):
            # Under the viewer's own name, so that the PACS's links to bulk data lead back here: one origin for all.
            headers = {name: self.headers[name] for name in ("Accept", "Host") if self.headers.get(name)}
            reply = httpx.get(self._dicomweb + self.path.removeprefix("/dicom-web"), headers=headers, timeout=60)
            media_type = reply.headers.get("Content-Type", "application/octet-stream")
            self._answer(reply.status_code, media_type, reply.content)
        elif path == "/app-config.js":
            self._answer(200, "application/javascript", CONFIG.encode())
        else:
            if not (Path(self.directory) / path.lstrip("/")).is_file():
                self.path = "/index.html"
            super().do_GET()

    def _answer(self, status: int, media_type: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", media_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
