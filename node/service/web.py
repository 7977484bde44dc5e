"""Serves the operator's window from a thread of the service process."""

import asyncio
import contextlib
import ipaddress
import socket
import threading
import time
from collections.abc import Iterator

import structlog
import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from node.admin.accounts import FirstUser
from node.admin.app import window_app
from node.admin.stow import PREFIX, Open, stow_app
from node.admin.window import Window
from node.core.admission import plain_address
from node.intake.listener import raise_file_limit
from node.service.asking import url_of

log = structlog.get_logger()

PROXIES = ["127.0.0.0/8", "::1", "::ffff:127.0.0.0/104"]
"""Who is believed of whom a request comes from: servers on this machine, by IPv4, IPv6, or a port for both."""


HEAD_S = 30.0
"""So long the head of a request may take to come."""
MOST, MOST_OF_ONE = 2048, 256
"""Connections at the same time, and of them those from one other machine; more are closed. A browser has six."""
TOLD_EVERY_S = 60.0
UNREAD_MS = 120_000
"""A caller that takes nothing of its answer for so long is given up, by the system: uvicorn waits for it for ever."""


class _Impatient(H11Protocol):
    """A connection that is closed where the head of a request does not come in time, or where there are too many:
    uvicorn waits for the first head, and for one of which a byte comes now and then, without end."""

    _due: asyncio.TimerHandle | None = None
    _told_s = -TOLD_EVERY_S

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        if self._are_too_many():
            transport.abort()
            return
        self._due = self.loop.call_later(HEAD_S, transport.close)

    def data_received(self, data: bytes) -> None:
        if self._due is None and self._is_head_awaited():
            self._due = self.loop.call_later(HEAD_S, self.transport.close)
        super().data_received(data)
        if not self._is_head_awaited():
            self._be_patient()

    def connection_lost(self, exc: Exception | None) -> None:
        self._be_patient()
        super().connection_lost(exc)

    def _are_too_many(self) -> bool:
        address, now = self.client[0] if self.client else "", time.monotonic()
        of_one = 0 if is_local(address) else sum(_address_of(one) == address for one in self.connections)
        if len(self.connections) <= MOST and of_one <= MOST_OF_ONE:
            return False
        if now - _Impatient._told_s >= TOLD_EVERY_S:
            _Impatient._told_s = now
            log.warning("window-crowded", address=address, of_address=of_one, connections=len(self.connections))
        return True

    def _is_head_awaited(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _be_patient(self) -> None:
        if self._due is not None:
            self._due.cancel()
            self._due = None


def is_local(address: str) -> bool:
    """Whether that is this machine, where a proxy speaks for many."""
    try:
        return ipaddress.ip_address(plain_address(address)).is_loopback
    except ValueError:
        return False


def _address_of(connection: asyncio.Protocol) -> str:
    client = getattr(connection, "client", None)
    return str(client[0]) if client else ""


@contextlib.contextmanager
def serving_window(listening: socket.socket, window: Window, stow: Open | None = None) -> Iterator[None]:
    """Serve on a listening socket until the block is left. Where nobody can sign in yet, the log tells how to.

    stow: takes instances by STOW-RS; None where that is off.
    """
    raise_file_limit()  # each connection is one of the files that this process sends, keeps and decides with
    # Connections take it over. Without it an answer of two parts waits 40 ms for the browser's word on the first.
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNREAD_MS)
    first_user = FirstUser(window.ledger)
    app = _beside(window_app(window, first_user), None if stow is None else stow_app(stow))
    settings = uvicorn.Config(
        app,
        http=_Impatient,
        log_level="warning",
        access_log=False,
        lifespan="off",
        server_header=False,
        forwarded_allow_ips=PROXIES,
    )
    server = uvicorn.Server(settings)
    thread = threading.Thread(target=server.run, args=([listening],), name="admin", daemon=True)
    thread.start()
    if first_user.is_due():
        host, port = listening.getsockname()[:2]
        log.warning("no-user-yet", open_once=f"{url_of(host, port)}/first?code={first_user.code}")
    try:
        yield
    finally:
        server.should_exit = True
        thread.join(5)


def _beside(window: ASGIApp, stow: ASGIApp | None) -> ASGIApp:
    """Two applications on one port: people's, behind its guard of sessions, and that of peers with a token."""
    if stow is None:
        return window

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        is_stow = scope["type"] == "http" and scope["path"].startswith(PREFIX)
        await (stow if is_stow else window)(scope, receive, send)

    return app
