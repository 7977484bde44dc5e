"""Serves the operator's window from a thread of the service process."""

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator

import uvicorn

from node.admin.health import Health, health_app


@contextlib.contextmanager
def serve_health(listening: socket.socket, look: Callable[[], Health]) -> Iterator[None]:
    """Serve on a listening socket until the block is left."""
    server = uvicorn.Server(uvicorn.Config(health_app(look), log_level="warning", access_log=False, lifespan="off"))
    thread = threading.Thread(target=server.run, args=([listening],), name="admin", daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.should_exit = True
        thread.join(5)
