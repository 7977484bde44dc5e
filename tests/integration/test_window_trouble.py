"""What the window says in a browser when it cannot do what was asked: nothing old passes for the present."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from node.admin.accounts import add_user, change_user
from node.admin.pages.routes import MOST_FILES
from node.core.preview import CT_VIEWS, Preview, View
from node.core.role import Role
from node.editing import Kind
from node.errors import NotFound
from node.service.web import serving_window
from node.settings import Configuration
from tests.makers.studies import make_study
from tests.makers.window import PASSWORD, Opened, opened

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator

    from tests.makers.seat import Seat

pytestmark = [pytest.mark.real("chromium"), pytest.mark.slow, pytest.mark.timeout(600)]
SILENT = "The node does not answer"
GONE = 3
"""The slice that cannot be made."""
PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de0000000c49444154789c63f8ffff3f0005fe02fe0def46b8"
    "0000000049454e44ae426082"
)


class Slices:
    """Pictures of a run, of which one was lost."""

    def open(self, job_id: str) -> Preview:
        return Preview(job_id, 1, 5, 0, CT_VIEWS, (), (), ())

    def picture(self, job_id: str, index: int, view: View | None, *, findings: bool) -> bytes:  # noqa: ARG002
        if index == GONE - 1:
            raise NotFound("it was removed")
        return PNG


@pytest.fixture(scope="module")
def browser() -> "Iterator[Browser]":
    from tests.makers.ohif import running_browser

    with running_browser() as found:
        yield found


class Served:
    """A window on one port that can be closed and opened again, and a seat before it."""

    def __init__(self, window: Opened, browser: "Browser", stack: ExitStack) -> None:
        from tests.makers.seat import seat

        self.window, self._open = window, stack.enter_context(ExitStack())
        add_user(window.books.ledger, "ada", PASSWORD, Role.ADMIN, window.window.now())
        add_user(window.books.ledger, "otto", PASSWORD, Role.ADMIN, window.window.now())
        self._port = 0
        self.start()
        self.seat: Seat = stack.enter_context(seat(browser, f"http://127.0.0.1:{self._port}"))
        self.seat.sign_in("ada", PASSWORD)

    def start(self) -> None:
        listening = self._open.enter_context(socket.create_server(("127.0.0.1", self._port)))
        self._port = listening.getsockname()[1]
        self._open.enter_context(serving_window(listening, self.window.window))

    def stop(self) -> None:
        self._open.close()


@pytest.fixture
def served(tmp_path_factory: pytest.TempPathFactory, browser: "Browser") -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("trouble")
    (folder / "config").mkdir()
    peer = '[[peer]]\nname = "pacs"\nae_title = "PACS"\naddress = "192.0.2.1"\nport = 104\n'
    (folder / "config" / "peers.toml").write_text(peer)
    with ExitStack() as stack:
        window = stack.enter_context(opened(folder, Configuration(), previews=Slices()))
        yield Served(window, browser, stack)


@pytest.mark.parametrize("path", ["/", "/outbox", "/studies/{study}"])
def test_a_node_that_stopped_answering_is_told_until_it_answers_again(served: Served, path: str) -> None:
    """A page on the wall went on to say that all is well."""
    study = make_study(served.window.books, "one").study
    seat = served.seat
    seat.open(path.format(study=study))
    assert SILENT not in seat.text()

    served.stop()
    seat.until(SILENT)
    served.start()
    seat.page.locator("#trouble").wait_for(state="hidden")


def test_what_may_no_more_be_done_is_told_where_it_was_asked_for(served: Served) -> None:
    """The page was loaded while it was allowed."""
    seat = served.seat
    seat.open("/peers")
    change_user(served.window.books.ledger, "ada", Role.VIEWER, sees_names=False)

    seat.page.get_by_role("button", name="Echo").click()

    seat.until("this needs the role operator; ada is viewer")


def test_more_files_than_routes_are_tried_on_at_once_are_told(served: Served) -> None:
    seat = served.seat
    seat.open("/routes")
    files = [{"name": f"{number}", "mimeType": "", "buffer": b"x"} for number in range(MOST_FILES + 1)]
    seat.page.set_input_files("input[type=file]", files)  # type: ignore[arg-type]

    seat.page.get_by_role("button", name="Try on these files").click()

    seat.until(rf"Too many files.*{MOST_FILES}")


def test_a_slice_that_cannot_be_shown_is_not_replaced_by_another(served: Served) -> None:
    """Its number would stand below the picture of the one before."""
    made = make_study(served.window.books, "one")
    seat = served.seat
    seat.open(f"/jobs/{made.job}/preview")
    seat.page.get_by_role("img", name="Slice 1 of 5").wait_for()
    seat.page.locator("#viewer").focus()
    for _ in range(GONE - 1):
        seat.page.keyboard.press("ArrowDown")

    seat.until("This slice cannot be shown")
    assert seat.page.locator("#number").inner_text() == str(GONE)
    assert seat.page.locator("#picture img").count() == 0
    seat.page.keyboard.press("ArrowDown")
    seat.page.get_by_role("img", name="Slice 4 of 5").wait_for()


def fill_in_a_peer(seat: "Seat") -> "Locator":
    seat.open("/peers")
    form = seat.page.locator("form[action='/peers/add']")
    for label, text in (("Name", "mri"), ("AE title", "MRI"), ("Address", "192.0.2.9"), ("Port", "104")):
        form.get_by_label(label, exact=True).fill(text)
    seat.until("can be used")
    return form


def test_what_was_typed_outlives_the_session(served: Served) -> None:
    """Two hours on the telephone, and the form that was nearly done was gone."""
    seat, page = served.seat, served.seat.page
    form = fill_in_a_peer(seat)
    served.window.books.clock.forward(hours=3)
    form.get_by_label("Port", exact=True).fill("11112")

    again = page.get_by_role("dialog")
    again.get_by_label("Name").fill("ada")
    again.get_by_label("Password").fill("wrong")
    again.get_by_role("button", name="Sign in").click()
    seat.until("The name or the password is wrong")
    assert seat.too_wide() == []
    again.get_by_label("Password").fill(PASSWORD)
    again.get_by_role("button", name="Sign in").click()
    again.wait_for(state="hidden")
    page.get_by_role("button", name="Add", exact=True).click()

    seat.until("Saved; the node takes it up")
    assert served.window.window.editor.read().peers[-1].port == 11112
    assert [one for one in seat.complaints if "401" not in one and "403" not in one] == []


def test_who_signed_in_in_another_tab_goes_on_in_this_one(served: Served) -> None:
    seat, page = served.seat, served.seat.page
    fill_in_a_peer(seat)
    served.window.books.clock.forward(hours=3)
    page.context.request.post(seat.url + "/sign-in", form={"name": "ada", "password": PASSWORD})
    page.get_by_role("button", name="Add", exact=True).click()
    seat.until("once more")
    page.get_by_role("button", name="Add", exact=True).click()

    seat.until("Saved; the node takes it up")


def test_what_is_refused_is_still_there_to_be_mended(served: Served) -> None:
    """Two admins change the same peer: the second is told, and has what was typed before the eyes."""
    seat, page = served.seat, served.seat.page
    seat.open("/peers")
    part = page.get_by_role("region", name="pacs PACS")
    part.get_by_text("Edit", exact=True).click()
    part.get_by_label("Address", exact=True).fill("192.0.2.77")
    served.window.window.editor.change(Kind.PEER, "pacs", {"port": 11112})
    part.get_by_role("button", name="Save").click()

    page.locator("#trouble", has_text="peer pacs was changed by somebody else meanwhile").wait_for()
    assert part.get_by_label("Address", exact=True).input_value() == "192.0.2.77"
    assert served.window.window.editor.read().peers[0].address == "192.0.2.1"
