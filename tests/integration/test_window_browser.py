"""One day of a PACS administrator with the window: a real browser, a running node, and a real PACS.

Each step of the day is a fixture that a person's hands could follow; the tests look at what is there after it.
"""

import re
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from node.rehearsal.modality import send_study
from node.rehearsal.phantom import write_study
from node.rehearsal.running import TITLE, RunningNode, free_ports, running_node
from node.rehearsal.variants import SMALL
from node.state import schema
from tests.makers.orthanc import Orthanc, running_orthanc

if TYPE_CHECKING:
    from tests.makers.seat import Seat

pytestmark = [pytest.mark.real("orthanc", "dcmtk", "chromium"), pytest.mark.slow, pytest.mark.timeout(1200)]
ADMIN, PASSWORD = "ada", "a long pass phrase"
SCANNER = "CT 1"
SETTINGS = {
    "gathering.quiet_s": "2",
    "intake.unknown_callers": "reject",
    "sending.backoff_first_s": "600",  # what waits, waits for the administrator
}
LIMIT_S = 300


@dataclass
class Site:
    """The node, its PACS while that runs, and the seat before the window."""

    node: RunningNode
    seat: "Seat"
    folder: Path
    pacs_ports: list[int]
    pacs: Orthanc | None = None
    _running_pacs: ExitStack = field(default_factory=ExitStack)

    def start_pacs(self, ae_title: str = "PACS") -> None:
        """Under the same ports as before; it answers to its own AE title alone."""
        more: dict[str, object] = {"DicomCheckCalledAet": True}
        running = running_orthanc(self.folder / "pacs", ae_title, more, self.pacs_ports)
        self.pacs = self._running_pacs.enter_context(running)

    def stop_pacs(self) -> None:
        self._running_pacs.close()

    def study(self, name: str) -> list[Path]:
        """The phantom, as a study of that name."""
        return write_study(self.folder / name, SMALL, uid_seed=name)

    def send(self, paths: list[Path], calling: str = SCANNER) -> None:
        answers = send_study(paths, "127.0.0.1", self.node.port, calling, TITLE)
        assert {status for _, status in answers} == {0}

    def press(self, button: str, path: str, shown: str) -> None:
        """Press a button that saves; return when the node works by it: when that page of it holds what was saved."""
        self.seat.page.get_by_role("button", name=button, exact=True).last.click()
        self.seat.until("Saved; the node takes it up")
        for _ in self.node.until(LIMIT_S, f"{path} does not show {shown}"):
            self.seat.open(path)
            if shown in self.seat.page.content():
                return

    def delivery(self) -> str:
        """State of the only delivery."""
        with self.node.ledger() as ledger, ledger.read() as connection:
            (row,) = connection.execute(schema.delivery.select()).mappings().all()
            return str(row["state"])


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A node that was just installed: no peer, no route, no user."""
    from tests.makers.ohif import running_browser
    from tests.makers.seat import seat

    folder = tmp_path_factory.mktemp("site")
    with ExitStack() as stack:
        node = stack.enter_context(running_node(folder / "node", peers="", routes="", settings=SETTINGS))
        node.wait_until_ready()
        browser = stack.enter_context(running_browser())
        found = Site(
            node,
            stack.enter_context(seat(browser, f"http://127.0.0.1:{node.admin_port}")),
            folder,
            free_ports(2),
        )
        found.start_pacs()
        stack.callback(found.stop_pacs)
        yield found


@pytest.fixture(scope="module")
def signed_in(site: Site) -> Site:
    """The first user, made by the link that the node printed."""
    page = site.seat.page
    link = re.search(r"http://127\.0\.0\.1:\d+/first\?code=[\w-]+", site.node.log.read_text())
    assert link is not None
    site.seat.open("/")
    assert "Nobody can sign in yet" in site.seat.text()
    page.goto(link[0])
    assert site.seat.faults("first") == []
    page.get_by_label("Name").fill(ADMIN)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_label("The same again").fill(PASSWORD)
    page.get_by_role("button", name="Begin").click()
    site.seat.until("All is well")
    return site


@pytest.fixture(scope="module")
def connected(signed_in: Site) -> Site:
    """The PACS is a peer, and so is the scanner that was turned away at first."""
    site, seat = signed_in, signed_in.seat
    echo = ["echoscu", "-aet", SCANNER, "-aec", TITLE, "127.0.0.1", str(site.node.port)]
    assert subprocess.run(echo, capture_output=True).returncode != 0
    seat.open("/peers")
    for _ in site.node.until(LIMIT_S, "the caller who was turned away is not shown"):
        if "Callers nobody knows" in seat.text():
            break
        seat.open("/peers")
    site.press("Accept", "/peers", "sends studies")
    form = seat.page.locator("form[action='/peers/add']")
    form.get_by_label("Name", exact=True).fill("pacs")
    form.get_by_label("AE title", exact=True).fill("BACK\\SLASH")
    seat.until("cannot be used.*is not an AE title")
    form.get_by_label("AE title", exact=True).fill("PACS")
    form.get_by_label("Address", exact=True).fill("127.0.0.1")
    form.get_by_label("Port", exact=True).fill(str(site.pacs_ports[0]))
    seat.until("can be used")
    site.press("Add", "/outbox", "pacs")
    return site


@pytest.fixture(scope="module")
def routed(connected: Site) -> Site:
    """A study came before there was a route; the new route was tried on it."""
    site, seat = connected, connected.seat
    site.send(site.study("early"))
    with site.node.ledger() as ledger:
        for _ in site.node.until(LIMIT_S, "the study was not taken as complete"):
            with ledger.read() as connection:
                if [row.state for row in connection.execute(schema.study.select())] == ["complete"]:
                    break
    seat.open("/routes")
    form = seat.page.locator("form[action='/routes/add']")
    form.get_by_label("Name", exact=True).fill("lung-ct")
    form.get_by_label("Model").select_option("lung-ct")
    form.get_by_label("Condition, empty: every study").fill("'CT' in study.modalites")
    seat.until("cannot be used")
    form.get_by_label("Condition, empty: every study").fill("'CT' in study.modalities")
    form.get_by_label("pacs", exact=True).last.check()
    seat.until("can be used")
    site.press("Add", "/studies", "<option>lung-ct</option>")
    return site


@pytest.fixture(scope="module")
def waiting(routed: Site) -> Site:
    """A study arrived and was analysed while somebody watched, and the PACS was down."""
    site, seat = routed, routed.seat
    site.stop_pacs()
    seat.open("/")
    loaded = seat.page.evaluate("performance.timeOrigin")
    assert "1 study arrived" in seat.text()
    site.send(site.study("late"))
    seat.until("2 studies arrived")
    seat.page.get_by_role("link", name="Studies").first.click()
    seat.page.get_by_role("row").nth(1).get_by_role("link").last.click()
    opened = seat.page.evaluate("performance.timeOrigin")
    seat.until("Nothing listens at 127.0.0.1")
    assert opened == seat.page.evaluate("performance.timeOrigin") != loaded
    return site


def study_path(site: Site) -> str:
    """Of the study that was analysed."""
    with site.node.ledger() as ledger, ledger.read() as connection:
        return f"/studies/{connection.execute(schema.job.select()).mappings().one()['study_id']}"


def test_a_peer_is_asked_and_says_what_it_takes(connected: Site) -> None:
    seat = connected.seat
    seat.open("/peers")
    part = seat.page.get_by_role("region", name="pacs PACS")
    part.get_by_role("button", name="Echo").click()
    seat.until("answered C-ECHO")
    part.get_by_role("button", name="Probe").click()

    assert "renditions" in seat.until("Proposed for its table")
    assert seat.faults("peers-probed") == []


def test_a_route_is_tried_on_a_study_that_is_here(routed: Site) -> None:
    seat = routed.seat
    seat.open("/studies")
    study = seat.page.get_by_role("row").nth(1).get_by_role("link").last.inner_text()
    seat.open("/routes")
    seat.page.get_by_label("Try them on a study").fill(study)
    seat.page.get_by_role("button", name="Try on this study").click()

    assert "chosen" in seat.until(r"Chest phantom, lung")
    assert seat.faults("routes-tried") == []


def test_what_was_found_is_looked_at_slice_by_slice(waiting: Site) -> None:
    seat, page = waiting.seat, waiting.seat.page
    seat.open(study_path(waiting))
    page.get_by_role("link", name="Look at the findings").click()
    number, shown = page.locator("#number"), page.locator("#picture img")
    shown.wait_for()
    start = int(number.inner_text())
    first = shown.get_attribute("src")
    page.locator("#viewer").focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("PageDown")
    assert int(number.inner_text()) == start + 11
    page.locator("#picture").hover()
    page.mouse.wheel(0, -80)
    page.get_by_role("img", name=f"Slice {start + 9} of").wait_for()
    page.keyboard.press("Home")
    page.get_by_role("img", name="Slice 1 of").wait_for()
    assert shown.get_attribute("src") != first
    assert shown.evaluate("image => image.naturalWidth") > 100
    page.keyboard.press("End")
    for _ in range(int(page.locator("#viewer").get_attribute("data-count") or 0) - start):
        page.keyboard.press("ArrowUp")
    page.get_by_role("img", name=f"Slice {start} of").wait_for()
    drawn = page.locator("#picture").screenshot()
    page.get_by_label("Findings").uncheck()
    page.locator("#picture img[src*='findings=false']").wait_for()
    assert page.locator("#picture").screenshot() != drawn
    page.get_by_label("Findings").check()
    page.locator("#picture img[src*='findings=true']").wait_for()

    assert "Volume" in seat.text()
    assert seat.faults("preview") == []


def test_the_keyboard_alone_is_enough(waiting: Site) -> None:
    """Sign in, open a study, scroll its images, edit a route and send again what waits, without a pointer."""
    from tests.makers.seat import seat

    browser = waiting.seat.page.context.browser
    assert browser is not None
    with seat(browser, waiting.seat.url) as desk:
        page, keys = desk.page, desk.page.keyboard
        desk.open("/sign-in")
        page.locator("input[name=name]:focus").wait_for()
        keys.type(ADMIN)
        keys.press("Tab")
        keys.type(PASSWORD)
        keys.press("Enter")
        desk.until("Sign out")
        desk.tab_to("^To the content")
        keys.press("Enter")
        desk.tab_to("arriving")  # the first that the page itself shows
        desk.open("/")
        desk.tab_to("^Studies")
        keys.press("Enter")
        page.wait_for_url("**/studies")
        desk.tab_to(f"^{study_path(waiting).removeprefix('/studies/')}")
        keys.press("Enter")
        page.wait_for_url("**/studies/*")
        desk.tab_to("^Look at the findings")
        keys.press("Enter")
        page.wait_for_url("**/preview")
        start = int(page.inner_text("#number"))
        desk.tab_to("^Slices:")
        keys.press("ArrowDown")
        assert int(page.inner_text("#number")) == start + 1
        desk.open("/outbox")
        desk.tab_to("^Send now")
        keys.press("Enter")
        desk.until("The delivery is being sent")
        desk.open("/routes")
        desk.tab_to("^Edit")
        keys.press("Space")
        desk.tab_to("^Priority")
        keys.press("ArrowUp")
        desk.tab_to("^Save")
        keys.press("Enter")
        desk.until("Saved; the node takes it up")
        assert 'priority = "urgent"' in (waiting.node.folder / "config" / "routes.toml").read_text()
        assert desk.complaints == []


def test_a_pacs_that_is_down_is_told_and_one_that_refuses_is_parked_then_mended(waiting: Site) -> None:
    """It waits while nothing listens, is parked while the PACS has another name, and arrives once that is set."""
    site, seat = waiting, waiting.seat
    seat.open("/outbox")
    seat.until("Nothing listens at 127.0.0.1")
    assert seat.faults("outbox-waiting") == []
    site.start_pacs("ARCHIVE")
    seat.page.get_by_role("button", name="Send now").click()
    seat.until("The delivery is being sent")
    told = seat.until("pacs is not called PACS")
    assert site.delivery() == "parked"
    assert seat.faults("outbox-parked") == [], told
    seat.open("/")
    seat.until("needs a person")
    assert seat.faults("overview-parked") == []

    seat.open("/peers")
    part = seat.page.get_by_role("region", name="pacs PACS")
    part.get_by_text("Edit", exact=True).click()
    part.get_by_label("AE title", exact=True).fill("ARCHIVE")
    site.press("Save", "/studies", "ARCHIVE")
    seat.open("/outbox")
    seat.page.get_by_role("button", name="Send now").click()
    seat.until("Nothing waits")

    assert site.delivery() in ("accepted", "proven")
    assert site.pacs is not None
    assert {"SEG", "SR", "OT"} <= {one["Modality"] for one in site.pacs.series()}


PAGES = (
    "/",
    "/studies",
    "/outbox",
    "/outbox/all",
    "/associations",
    "/peers",
    "/routes",
    "/models",
    "/users",
    "/system",
    "/api",
)


@pytest.mark.parametrize("path", PAGES)
def test_every_page_can_be_used_by_everybody_on_a_desk_and_a_phone(waiting: Site, path: str) -> None:
    waiting.seat.open(path)

    assert waiting.seat.faults(path.strip("/").replace("/", "-") or "overview") == []


def test_the_story_of_a_study_can_be_used_by_everybody_on_a_desk_and_a_phone(waiting: Site) -> None:
    waiting.seat.open(study_path(waiting))

    assert waiting.seat.faults("study") == []


def test_nothing_in_the_browser_complained(waiting: Site) -> None:
    """No error of a script, and nothing that the pages' own policy had to stop."""
    assert waiting.seat.complaints == []
