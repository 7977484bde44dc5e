"""The window's own server, on a real socket."""

import resource
import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from node.service.web import serving_window
from tests.makers.window import opened

FEW = 256
"""Open files that the process may have at first."""


@pytest.fixture
def few_files() -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (FEW, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.mark.usefixtures("few_files")
def test_idle_callers_do_not_use_up_the_files_of_the_process(tmp_path: Path) -> None:
    """It sends, keeps and decides as well: without a file to open it ended."""
    callers: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as listening, opened(tmp_path) as made:
        port = listening.getsockname()[1]
        with serving_window(listening, made.window):
            try:
                callers += [socket.create_connection(("127.0.0.1", port)) for _ in range(2 * FEW)]

                assert httpx.get(f"http://127.0.0.1:{port}/live", timeout=10).status_code == 200
                assert (tmp_path / "one more").write_text("can be opened")
            finally:
                for one in callers:
                    one.close()
