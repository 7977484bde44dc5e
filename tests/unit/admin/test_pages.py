"""What the pages show and hide: everything escaped, patients by role, and the live part only where it changed."""

import io
import json
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from node.admin.pages.system import told_settings
from node.admin.rendering import TEMPLATES
from node.core.job import StudyState
from node.core.role import Role
from node.settings import Configuration, GatheringTable, NodeSettings, StateTable
from node.state import arrivals
from tests.makers.ledger import ct_slice
from tests.makers.window import Opened, opened

HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "=cmd|' /C calc'!A0",
    "\x1b[2J",
    "\u202egnp.exe",
    "{{ 7 * 7 }}",
    "'; DROP TABLE iso_study; --",
)


@pytest.fixture
def window(tmp_path: Path) -> Iterator[Opened]:
    with opened(tmp_path) as found:
        yield found


def arrive(window: Opened, name: str, **facts: object) -> str:
    """A study of one slice; its id."""
    one = ct_slice(1, study=name, **facts)
    window.books.arrive(one)
    with window.books.ledger.read() as connection:
        return arrivals.get_study(connection, one.study_uid).id


@pytest.mark.parametrize("text", HOSTILE)
def test_what_came_over_the_network_stays_text(window: Opened, text: str) -> None:
    """Rows 54 and 57 of the failure tests, in every field that a page shows."""
    fields = ("accession_number", "study_description", "series_description", "modality")
    key = arrive(window, "s", patient=text, **dict.fromkeys(fields, text))
    browser = window.user()
    for page in (browser.see("/studies"), browser.see(f"/studies/{key}"), browser.submit("/studies", text=text).text):
        for sign in ("<script>alert", "<img src=x", "\x1b", "\u202e", "49<"):
            assert sign not in page
    assert "iso_study" not in browser.see("/").lower()


def test_no_template_switches_escaping_off() -> None:
    for path in TEMPLATES.rglob("*.html"):
        text = path.read_text()
        assert not re.search(r"\|\s*safe|autoescape|<script>|\son[a-z]+=|style=", text), path.name


def test_every_answer_forbids_scripts_and_frames_of_others(window: Opened) -> None:
    browser = window.user()
    for path in ("/", "/sign-in", "/studies", "/no-such-page", "/static/window.css", "/live"):
        headers = browser.client.get(path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert headers["x-content-type-options"] == "nosniff"


def test_pages_name_no_other_host(window: Opened) -> None:
    key = arrive(window, "s")
    browser = window.user()
    for path in ("/", "/studies", f"/studies/{key}", "/sign-in"):
        assert not re.search(r'(?:src|href|action)="(?:https?:)?//', browser.see(path))


def test_a_viewer_sees_no_patient_unless_allowed(window: Opened) -> None:
    key = arrive(window, "s", patient="SECRET-1", accession_number="SECRET-2")
    hidden, shown, steering = (
        window.user(Role.VIEWER),
        window.user(Role.VIEWER, sees_names=True),
        window.user(Role.OPERATOR),
    )

    for path in ("/studies", f"/studies/{key}"):
        assert "SECRET" not in hidden.see(path)
        assert "SECRET-1" in shown.see(path)
        assert "SECRET-1" in steering.see(path)
    assert key not in hidden.submit("/studies", text="SECRET-1").text
    assert key in steering.submit("/studies", text="SECRET-1").text


def test_a_viewer_is_offered_nothing_to_press(window: Opened) -> None:
    key = arrive(window, "s")

    assert "Complete now" not in window.user(Role.VIEWER).see(f"/studies/{key}")
    assert "Complete now" in window.user(Role.OPERATOR).see(f"/studies/{key}")


def test_completing_a_study_is_the_commands_own_action(window: Opened) -> None:
    key = arrive(window, "s")
    browser = window.user(Role.OPERATOR)
    answer = browser.submit(f"/studies/{key}/complete")

    assert answer.headers["location"] == f"/studies/{key}?done=complete"
    assert "taken as complete" in browser.see(answer.headers["location"])
    with window.books.ledger.read() as connection:
        study = arrivals.get_study(connection, key)
    assert (study.ordered, study.state) == (True, StudyState.GATHERING)


def test_an_action_that_does_not_suit_says_so(window: Opened) -> None:
    key = arrive(window, "s")
    answer = window.user().submit(f"/studies/{key}/release")

    assert answer.status_code == 409
    assert "only one that is held can be released" in answer.text


def test_of_two_patients_one_goes_on_and_nothing_is_said_of_later_images(window: Opened) -> None:
    """There are none: each study holds the images of its own patient, and names the other."""
    browser = window.user()
    first = arrive(window, "one", patient="P1")
    other = ct_slice(2, study="one", patient="P2")
    window.books.arrive(other)
    with window.books.ledger.read() as connection:
        second = next(one.id for one in arrivals.studies_of_uid(connection, other.study_uid) if one.id != first)

    for one, another in ((first, second), (second, first)):
        page = browser.see(f"/studies/{one}")
        assert f"study {another} has the same Study Instance UID" in page
        assert (page.count("Let it go on</button>"), "later images" in page) == (1, False)


def test_of_images_that_came_twice_the_first_or_the_later_ones_count(window: Opened) -> None:
    key = arrive(window, "one")
    window.books.arrive(ct_slice(1, study="one"), path="spool/instances/again.dcm", conflict=arrivals.Conflict.HELD)
    page = window.user().see(f"/studies/{key}")

    assert "Let it go on with the first images" in page
    assert "… with the later images" in page


def test_an_unknown_study_is_a_page_in_words(window: Opened) -> None:
    answer = window.user().client.get("/studies/nothing")

    assert answer.status_code == 404
    assert "no study" in answer.text


@pytest.mark.parametrize("path", ["/overview/live", "/studies/{key}/live"])
def test_the_live_part_comes_only_where_it_changed(window: Opened, path: str) -> None:
    key = arrive(window, "s")
    path = path.format(key=key)
    client = window.user().client
    mark = re.search(r"seen=(\w+)", client.get(path).text)

    assert mark is not None
    assert client.get(f"{path}?seen={mark[1]}").status_code == 204
    assert client.get(f"{path}?seen=other").status_code == 200


def test_the_live_part_leads_to_the_door_when_the_session_is_over(window: Opened) -> None:
    answer = window.stranger().get("/overview/live", headers={"HX-Request": "true"})

    assert answer.headers["HX-Redirect"] == "/sign-in"


def test_too_large_a_request_is_refused_unread(window: Opened) -> None:
    client = window.user().client

    assert client.post("/studies", data={"text": "x" * (2 << 20)}).status_code == 413


def test_two_patients_of_one_uid_are_each_found(window: Opened) -> None:
    window.books.arrive(ct_slice(1, study="s", patient="A1"))
    window.books.arrive(ct_slice(2, study="s", patient="B1"))
    text = window.user().submit("/studies", text="B1").text

    assert "B1" in text
    assert "A1" not in text


def test_the_bundle_holds_no_patient_and_no_password(window: Opened) -> None:
    arrive(window, "s", patient="SECRET", accession_number="SECRET")
    settings = NodeSettings(
        state=StateTable(database_url="postgresql://isocenter:SECRET@db/isocenter"),
        gathering=GatheringTable(exclude_patients=("SECRET",)),
    )
    assert "SECRET" not in json.dumps(told_settings(Configuration(settings=settings)))
    archive = zipfile.ZipFile(io.BytesIO(window.user().client.get("/system/bundle.zip").content))

    assert set(archive.namelist()) >= {"versions.json", "settings.json", "check.json", "selftest.json"}
    for name in archive.namelist():
        assert "SECRET" not in archive.read(name).decode()


def test_an_address_where_nothing_is_says_so(window: Opened) -> None:
    answer = window.user().client.get("/no-such-page")

    assert (answer.status_code, "nothing is at this address" in answer.text) == (404, True)
