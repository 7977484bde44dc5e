"""Rows 54 and 57 of the failure tests in a real browser: what strangers write is shown, and nothing of it is obeyed."""

import socket
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from node.admin.accounts import add_user
from node.core.job import DeliveryEvent
from node.core.role import Role
from node.errors import ReasonCode
from node.intake.callers import keep_ended
from node.service.web import serving_window
from node.settings import Configuration
from node.state.associations import AssociationOutcome, AssociationRecord, Associations
from tests.makers.studies import happen, make_study, refuse
from tests.makers.window import MODEL, PASSWORD, Opened, opened

if TYPE_CHECKING:
    from tests.makers.seat import Seat

pytestmark = [pytest.mark.real("chromium"), pytest.mark.slow, pytest.mark.timeout(600)]
RUNS = (
    "<script>window.run=1</script>",
    "\"><img src=x onerror='window.run=1'>",
    "'><svg onload=window.run=1>",
    "</textarea></title><script src=//evil.example/a.js></script>",
    "\" autofocus onfocus='window.run=1",
    "\"><div hx-get='/sign-in' hx-trigger='load' hx-on::load='window.run=1'>",
    "<a href=javascript:window.run=1 id=main>main</a>",
    "<meta http-equiv=refresh content='0;url=//evil.example'><base href=//evil.example>",
    "{{ 7 * 7 }}${7*7}<%= 7*7 %>",
    "=cmd|' /C calc'!A0",
    "W" * 64,
    "\x1b[2J\x07\u202egnp.exe\u2066",
)
PAGES = ("/", "/studies", "/outbox", "/associations", "/peers", "/routes", "/models", "/users", "/system", "/api")


def fill(window: Opened) -> list[str]:
    """Every stranger's text in every place that strangers fill; paths of the studies."""
    books, now = window.books, window.window.now()
    receiver = Associations(books.home).serve()
    paths = []
    for number, text in enumerate(RUNS):
        facts = dict.fromkeys(("accession_number", "study_description", "series_description", "modality"), text)
        made = make_study(books, f"s{number}", patient=text, **facts)
        happen(books, made.delivery, DeliveryEvent.STARTED, DeliveryEvent.PARKED, message=text)
        refused = refuse(books, f"r{number}", ReasonCode.COVERAGE, text)
        receiver.write(
            AssociationRecord(
                f"a{number}",
                receiver.name,
                text[:16],
                text[-16:],
                text,
                None,
                now - timedelta(seconds=number),
                outcome=AssociationOutcome.REJECTED,
                why=text,
                ended_at=now,
            )
        )
        paths += [f"/studies/{made.study}", f"/studies/{refused}"]
    keep_ended(books.ledger, Associations(books.home))
    receiver.close()
    return paths


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> "Iterator[tuple[Seat, list[str]]]":
    """A signed-in admin before a window full of strangers' text, and the paths of its studies."""
    from tests.makers.ohif import running_browser
    from tests.makers.seat import seat

    folder = tmp_path_factory.mktemp("hostile")
    (folder / "config").mkdir()
    whole = "".join(RUNS).translate({0x1B: None, 0x07: None})
    peers = "".join(
        f'[[peer]]\nname = "p{number}"\nae_title = {toml(text[:16].strip())}\naddress = "192.0.2.1"\nport = 104\n'
        for number, text in enumerate(RUNS[:-1])
    )
    (folder / "config" / "peers.toml").write_text(peers)
    route = '[[route]]\nname = "r"\nmodel = "lung-ct"\ndestinations = ["p0"]\n'
    (folder / "config" / "routes.toml").write_text(f"{route}when = {toml(f'study.description == {cel(whole)}')}\n")
    with opened(folder, Configuration()) as window:
        add_user(window.books.ledger, "ada", PASSWORD, Role.ADMIN, window.window.now())
        model = replace(MODEL, title=whole, vendor=whole, intended_use=whole, not_validated_for=(whole,))
        shown = replace(window.window, models=lambda: [model])
        paths = fill(window)
        with (
            socket.create_server(("127.0.0.1", 0)) as listening,
            serving_window(listening, shown),
            running_browser() as browser,
            seat(browser, f"http://127.0.0.1:{listening.getsockname()[1]}") as found,
        ):
            found.sign_in("ada", PASSWORD)
            yield found, paths


def toml(text: str) -> str:
    """A basic string of TOML."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def cel(text: str) -> str:
    """A string of CEL, in single quotes."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def nothing_happened(seat: "Seat", path: str) -> None:
    """No script of a stranger ran, the policy had nothing to stop, nobody was led away."""
    assert seat.page.evaluate("window.run === undefined"), path
    assert seat.page.url.startswith(seat.url + path), seat.page.url
    assert seat.complaints == [], path


@pytest.mark.parametrize("path", PAGES)
def test_on_no_page_anything_is_obeyed(filled: "tuple[Seat, list[str]]", path: str) -> None:
    seat, _ = filled
    seat.open(path)
    seat.page.wait_for_load_state("networkidle")
    for closed in seat.page.locator("details > summary").all():
        closed.click()
    if path not in ("/api", "/system", "/users", "/"):
        assert "&lt;script&gt;window" in seat.page.locator("main").inner_html()

    nothing_happened(seat, path)


def test_no_study_makes_the_browser_do_anything(filled: "tuple[Seat, list[str]]") -> None:
    seat, paths = filled
    for path in paths:
        seat.open(path)
        assert seat.page.locator("main h1").count() == 1
        nothing_happened(seat, path)


@pytest.mark.parametrize("text", RUNS)
def test_no_word_in_a_search_is_obeyed(filled: "tuple[Seat, list[str]]", text: str) -> None:
    """Looked for as one types, with the list renewed by script, and by the form alone."""
    seat, _ = filled
    seat.open("/studies")
    with seat.page.expect_response("**/studies"):
        seat.page.locator("#text").fill(text)
    seat.page.get_by_role("button", name="Search").click()
    # Its answer too: the next page would break the question off, and the browser complain of that.
    seat.page.locator(".htmx-request").wait_for(state="detached")

    nothing_happened(seat, "/studies")


def test_the_same_pages_stay_whole_on_a_phone(filled: "tuple[Seat, list[str]]") -> None:
    """Long text without a space does not push anything off the page."""
    seat, paths = filled
    found = []
    for path in (*PAGES, paths[0], paths[1]):
        seat.open(path)
        found += seat.too_wide()

    assert found == []
