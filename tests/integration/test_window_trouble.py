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
from node.errors import NotFound
from node.service.web import serving_window
from node.settings import Configuration
from tests.makers.studies import make_study
from tests.makers.window import PASSWORD, Opened, opened

if TYPE_CHECKING:
    from playwright.sync_api import Browser

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
