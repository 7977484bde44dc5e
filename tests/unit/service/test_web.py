"""The window's own server, on a real socket."""

import resource
import select
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
import structlog

from node.service import web
from node.service.ports import open_listening
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


@pytest.mark.parametrize("before", [b"", b"GET /live HTTP/1.1\r\nHost: x\r\n\r\n"])
@pytest.mark.parametrize("drips", [False, True])
def test_a_caller_that_never_finishes_a_request_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: bytes, drips: bool
) -> None:
    """Nobody has asked it for a password yet: with a byte now and then it would hold a file of the process for ever."""
    monkeypatch.setattr(web, "HEAD_S", 1.0)
    with (
        socket.create_server(("127.0.0.1", 0)) as listening,
        opened(tmp_path) as made,
        serving_window(listening, made.window),
        socket.create_connection(("127.0.0.1", listening.getsockname()[1]), timeout=20) as caller,
    ):
        if before:
            caller.sendall(before)
            answer = caller.recv(1 << 16)
            while not answer.endswith(b"}"):  # its body may come by itself
                answer += caller.recv(1 << 16)
            assert answer.startswith(b"HTTP/1.1 200")
        caller.sendall(b"GET / HTTP/1.1\r\nX: ")
        begun = time.monotonic()
        while drips and time.monotonic() - begun < 10 and not select.select([caller], [], [], 0.1)[0]:
            caller.sendall(b"a")
        with suppress(ConnectionResetError):
            assert caller.recv(1) == b""
        assert 0.2 < time.monotonic() - begun < 8


@pytest.mark.parametrize("bind", ["127.0.0.1", "::1", "::"])
@pytest.mark.parametrize("behind", ["", "192.0.2.7"])
def test_this_machine_gets_in_by_ipv4_and_ipv6_and_who_calls_through_its_proxy_does_not(
    tmp_path: Path, bind: str, behind: str
) -> None:
    """The link that is printed can be opened, and a proxy is believed of whom it speaks for."""
    headers = {"X-Forwarded-For": behind} if behind else {}
    with (
        open_listening(bind, 0, "admin.port") as listening,
        opened(tmp_path) as made,
        structlog.testing.capture_logs() as logs,
        serving_window(listening, made.window),
    ):
        (told,) = [one for one in logs if one["event"] == "no-user-yet"]
        port = listening.getsockname()[1]
        reached = [f"http://{host}:{port}" for host in {"127.0.0.1", "[::1]"} if bind == "::" or bind in host]
        links = [told["open_once"], *(f"{one}/sign-in" for one in reached)]
        answers = {one: httpx.get(one, headers=headers, timeout=10).status_code for one in links}

    assert answers == dict.fromkeys(links, 403 if behind else 200)
