"""A study that its destination has under another patient: both are seen, and the results state what was seen."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from node.core.identity import Differing, Patient, Registered
from node.core.job import DeliveryState, JobState
from node.core.role import Role
from node.errors import IsocenterError
from node.state import corrections, outbox, work
from tests.makers.studies import Made, make_study
from tests.makers.window import Opened, Silent, opened

OURS = Registered(Patient("P1", ""), "A1", "Wrong^Ana")
THEIRS = Registered(Patient("<b>RIGHT</b>", "H"), "A9", "Right^Ana", "19600102", "F")


class Archive(Silent):
    """A destination that has another patient for every study."""

    theirs = THEIRS
    fault = ""

    def registered(self, delivery: str) -> Differing:
        if self.fault:
            raise IsocenterError(f"{delivery}: {self.fault}")
        return Differing("pacs", OURS, self.theirs)


@pytest.fixture
def archive() -> Archive:
    return Archive()


@pytest.fixture
def window(tmp_path: Path, archive: Archive) -> Iterator[Opened]:
    with opened(tmp_path, asking=archive) as found:
        yield found


def stated(window: Opened, made: Made) -> tuple[Registered | None, JobState, DeliveryState]:
    with window.books.ledger.read() as connection:
        return (
            corrections.correction_of(connection, made.study),
            work.get_job(connection, made.job).state,
            outbox.get_delivery(connection, made.delivery).state,
        )


def mark_in(page: str) -> str:
    return page.partition('name="seen" value="')[2].partition('"')[0]


def test_both_are_shown_and_the_results_are_made_anew_with_what_was_shown(window: Opened) -> None:
    made = make_study(window.books, "s")
    browser = window.user(Role.OPERATOR)
    path = f"/deliveries/{made.delivery}/correct"
    assert f'href="{path}"' in browser.see(f"/studies/{made.study}")
    page = browser.see(path)
    for told in ("P1", "Wrong^Ana", "&lt;b&gt;RIGHT&lt;/b&gt;", "Right^Ana", "19600102", "A9"):
        assert told in page
    assert "<b>RIGHT" not in page
    assert stated(window, made)[0] is None

    answer = browser.submit(path, seen=mark_in(page))
    assert (answer.status_code, answer.headers["location"]) == (303, f"/studies/{made.study}?done=correct")
    assert stated(window, made) == (THEIRS, JobState.QUEUED, DeliveryState.DROPPED)
    after = browser.see(answer.headers["location"])
    assert "made anew" in after
    assert "&lt;b&gt;RIGHT&lt;/b&gt;" in after
    assert "RIGHT" not in window.user(Role.VIEWER).see(f"/studies/{made.study}")


def test_what_nobody_has_seen_is_not_stated(window: Opened, archive: Archive) -> None:
    """The archive corrects it once more while the page is open; and a form without what was seen does nothing."""
    made = make_study(window.books, "s")
    browser = window.user(Role.OPERATOR)
    path = f"/deliveries/{made.delivery}/correct"
    mark = mark_in(browser.see(path))
    archive.theirs = Registered(Patient("OTHER", ""), "A9")

    assert browser.submit(path, seen=mark).status_code == 412
    assert browser.submit(path, seen="").status_code == 422
    assert browser.submit(path).status_code == 422
    assert stated(window, made) == (None, JobState.ENCODED, DeliveryState.WAITING)


def test_a_destination_that_does_not_say_is_no_fault_of_the_node(window: Opened, archive: Archive) -> None:
    made = make_study(window.books, "s")
    archive.fault = "nothing listens there"
    answer = window.user(Role.OPERATOR).client.get(f"/deliveries/{made.delivery}/correct")

    assert (answer.status_code, "nothing listens there" in answer.text) == (409, True)


def test_a_viewer_is_neither_offered_it_nor_let_in(window: Opened) -> None:
    made = make_study(window.books, "s")
    viewer = window.user(Role.VIEWER, sees_names=True)
    path = f"/deliveries/{made.delivery}/correct"

    assert path not in viewer.see(f"/studies/{made.study}")
    assert viewer.client.get(path).status_code == 403
    assert viewer.submit(path, seen="x").status_code == 403


def test_programs_see_both_and_correct_what_they_saw(window: Opened, archive: Archive) -> None:
    made = make_study(window.books, "s")
    program = window.program(Role.OPERATOR)
    path = f"/api/deliveries/{made.delivery}"
    asked = program.get(f"{path}/registered")
    assert asked.json()["theirs"]["patient"] == {"patient_id": "<b>RIGHT</b>", "issuer": "H"}
    assert asked.json()["ours"]["accession"] == "A1"
    etag = asked.headers["ETag"]

    archive.theirs = Registered(Patient("OTHER", ""), "A9")
    assert program.post(f"{path}/correct", headers={"If-Match": etag}).status_code == 412
    assert stated(window, made)[0] is None
    archive.theirs = THEIRS
    answer = program.post(f"{path}/correct", headers={"If-Match": etag})

    assert (answer.status_code, answer.json()) == (200, {"jobs": 1})
    assert stated(window, made)[0] == THEIRS
    assert program.get(f"/api/studies/{made.study}").json()["corrected"]["patient_name"] == "Right^Ana"
    assert window.program(Role.VIEWER).get(f"/api/studies/{made.study}").json()["corrected"] is None
