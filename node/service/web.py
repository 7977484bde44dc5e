"""Serves the operator's window from a thread of the service process."""

import contextlib
import socket
import threading
from collections.abc import Iterator

import structlog
import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from node.admin.accounts import FirstUser
from node.admin.app import window_app
from node.admin.stow import PREFIX, Open, stow_app
from node.admin.window import Window
from node.intake.listener import raise_file_limit
from node.service.asking import url_of

log = structlog.get_logger()

PROXIES = ["127.0.0.0/8", "::1", "::ffff:127.0.0.0/104"]
"""Who is believed of whom a request comes from: servers on this machine, by IPv4, IPv6, or a port for both."""


@contextlib.contextmanager
def serving_window(listening: socket.socket, window: Window, stow: Open | None = None) -> Iterator[None]:
    """Serve on a listening socket until the block is left. Where nobody can sign in yet, the log tells how to.

    stow: takes instances by STOW-RS; None where that is off.
    """
    raise_file_limit()  # each connection is one of the files that this process sends, keeps and decides with
    # Connections take it over. Without it an answer of two parts waits 40 ms for the browser's word on the first.
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    first_user = FirstUser(window.ledger)
    app = _beside(window_app(window, first_user), None if stow is None else stow_app(stow))
    settings = uvicorn.Config(
        app, log_level="warning", access_log=False, lifespan="off", server_header=False, forwarded_allow_ips=PROXIES
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
