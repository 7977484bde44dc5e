"""A port that cannot be opened is told with what to do about it."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from node.errors import AlreadyRunning, NotPossible
from node.service.ports import open_listening

NOBODY = 65534


@pytest.fixture
def nobody() -> Iterator[None]:
    """This process without root's rights."""
    before = os.geteuid()
    if before == 0:
        os.seteuid(NOBODY)
    yield
    os.seteuid(before)


def test_a_port_that_is_taken_may_be_another_nodes() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        with pytest.raises(AlreadyRunning, match=rf"port {port} on 127.0.0.1 .*another node or server.*set node\.port"):
            open_listening("127.0.0.1", port, "node.port")


@pytest.mark.usefixtures("nobody")
@pytest.mark.skipif(
    int(Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text()) <= 1,
    reason="everybody may open any port here",
)
def test_a_port_that_is_roots_is_not_blamed_on_another_server() -> None:
    with pytest.raises(NotPossible, match=r"ports below 1024 are root's: .*isocenter\.socket.*set node\.port to one"):
        open_listening("127.0.0.1", 1, "node.port")


@pytest.mark.parametrize("bind", ["192.0.2.1", "no-such-host.invalid", "2001:db8::1"])
def test_an_address_that_is_not_this_machines_is_told_as_such(bind: str) -> None:
    with pytest.raises(NotPossible, match=r"set admin\.bind to an address of this machine"):
        open_listening(bind, 8080, "admin.port")
