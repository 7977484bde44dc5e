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

from node.admin import shell
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


def is_served(port: int, caller: int) -> bool:
    """Whether the connection between two ports of this machine still is the server's, as the system tells."""
    ends = (f":{port:04X}", f":{caller:04X}")
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return any(row[1].endswith(ends[0]) and row[2].endswith(ends[1]) for row in rows)


def test_a_caller_that_never_reads_its_answers_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its connection, and what is to be written to it, were kept as long as it liked."""
    monkeypatch.setattr(web, "UNREAD_MS", 1000)
    with (
        socket.create_server(("127.0.0.1", 0)) as listening,
        opened(tmp_path) as made,
        socket.socket() as caller,
    ):
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        caller.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        with serving_window(listening, made.window):
            port = listening.getsockname()[1]
            caller.connect(("127.0.0.1", port))
            caller.sendall(b"GET /sign-in HTTP/1.1\r\nHost: x\r\n\r\n" * 200)
            begun = time.monotonic()
            while is_served(port, caller.getsockname()[1]) and time.monotonic() - begun < 20:
                time.sleep(0.1)

    assert time.monotonic() - begun < 15


@pytest.mark.parametrize("path", ["/sign-in", "/outbox/resend", "/routes/try", "/api/peers"])
@pytest.mark.parametrize("drips", [False, True])
def test_a_body_that_never_ends_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str, drips: bool
) -> None:
    """Nobody has asked for a password yet: what came of it was kept, with the connection, for ever."""
    monkeypatch.setattr(shell, "STALL_S", 1.0)
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n"
    with (
        socket.create_server(("127.0.0.1", 0)) as listening,
        opened(tmp_path) as made,
        structlog.testing.capture_logs() as logs,
        serving_window(listening, made.window),
        socket.create_connection(("127.0.0.1", listening.getsockname()[1]), timeout=20) as caller,
    ):
        made.user()
        caller.sendall(head.encode() + b"Content-Length: 20000\r\n\r\nname=")
        begun = time.monotonic()
        while drips and time.monotonic() - begun < 10 and not select.select([caller], [], [], 0.1)[0]:
            caller.sendall(b"a")
        answer = caller.recv(1 << 16)
        took_s = time.monotonic() - begun

    assert answer.split(b" ")[1] in (b"303", b"401", b"408")  # who is not known may be told so before
    assert took_s < 8
    assert [one for one in logs if one["log_level"] == "error"] == []


def test_a_browser_that_is_closed_while_it_sends_is_no_fault(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    head = b"POST /routes/try HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n"
    with (
        socket.create_server(("127.0.0.1", 0)) as listening,
        opened(tmp_path) as made,
        serving_window(listening, made.window),
    ):
        port = listening.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port), timeout=20) as caller:
            caller.sendall(head + b"Content-Length: 20000\r\n\r\nname=")
        assert httpx.get(f"http://127.0.0.1:{port}/live", timeout=10).status_code == 200

    assert "Traceback" not in capfd.readouterr().err


def test_what_strangers_send_is_not_kept_in_memory(tmp_path: Path) -> None:
    """A form has some kilobytes; more is refused from its head alone, or at the byte too many."""
    chunked = b"POST /sign-in HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n"
    with (
        socket.create_server(("127.0.0.1", 0)) as listening,
        opened(tmp_path) as made,
        serving_window(listening, made.window),
        socket.create_connection(("127.0.0.1", listening.getsockname()[1]), timeout=20) as caller,
    ):
        port = listening.getsockname()[1]
        declared = httpx.post(f"http://127.0.0.1:{port}/sign-in", data={"name": "a" * 100_000}, timeout=20)
        caller.sendall(chunked + b"Content-Type: application/x-www-form-urlencoded\r\n\r\n")
        with suppress(ConnectionError):
            for _ in range(100):
                caller.sendall(b"1000\r\n" + b"a" * 0x1000 + b"\r\n")
        undeclared = caller.recv(1 << 16)

    assert declared.status_code == 413
    assert undeclared.startswith(b"HTTP/1.1 413")


def test_callers_from_one_address_do_not_keep_the_others_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web, "MOST_OF_ONE", 20)
    monkeypatch.setattr(web, "is_local", lambda _address: False)
    callers: list[socket.socket] = []
    with socket.create_server(("", 0)) as listening, opened(tmp_path) as made:
        port = listening.getsockname()[1]
        with serving_window(listening, made.window), structlog.testing.capture_logs() as logs:
            try:
                there, here = ("127.0.0.2", port), ("127.0.0.2", 0)
                callers += [socket.create_connection(there, source_address=here) for _ in range(40)]
                closed = select.select(callers, [], [], 5)[0]
                assert httpx.get(f"http://127.0.0.1:{port}/live", timeout=10).status_code == 200
            finally:
                for one in callers:
                    one.close()

    assert closed
    assert set(closed) <= set(callers[20:])
    assert [one["address"] for one in logs if one["event"] == "window-crowded"] == ["127.0.0.2"]


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
