"""Deadlines of one connection, shorter and longer than the steps that waits are made of, plain and TLS."""

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest

from node.bench.trust import Trust, make_trust
from node.intake.pdu import HEAD
from node.intake.wire import STEP_S, Ended, Wire

LATE_S = STEP_S + 0.3
PDU = HEAD.pack(4, 3) + b"abc"
LARGE = bytes(1 << 25)
"""More than the system's buffers hold."""

EARLY_S, BUSY_S = 0.05, 5.0
"""By so much a wait may end early, as clocks have it, and late, where the machine is busy."""

Pair = tuple[Wire, socket.socket]
Connect = Callable[..., Pair]


@pytest.fixture(scope="module")
def trust(tmp_path_factory: pytest.TempPathFactory) -> Trust:
    return make_trust(tmp_path_factory.mktemp("trust") / "pki")


@pytest.fixture(params=["plain", "tls"])
def connect(request: pytest.FixtureRequest, trust: Trust) -> Iterator[Connect]:
    """A wire, which sends for so many seconds at most, and its peer."""
    opened: list[Wire | socket.socket] = []

    def pair(send_timeout_s: float = 30.0) -> Pair:
        with socket.create_server(("127.0.0.1", 0)) as listening:
            theirs = socket.create_connection(listening.getsockname())
            ours, _ = listening.accept()
        wire = Wire(ours, pdu_deadline_s=0.5, send_timeout_s=send_timeout_s)
        if request.param == "tls":
            theirs = _secured(wire, theirs, trust)
        opened.extend((wire, theirs))
        return wire, theirs

    yield pair
    for one in reversed(opened):
        one.close()


def _secured(wire: Wire, theirs: socket.socket, trust: Trust) -> socket.socket:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(trust.certificate, trust.key)
    peer = ssl.create_default_context(cafile=str(trust.authority))
    peer.check_hostname = False
    shaking = threading.Thread(target=lambda: wire.secure(context, 10))
    shaking.start()
    secured = peer.wrap_socket(theirs)
    shaking.join()
    return secured


@pytest.mark.parametrize("wait_s", [0.2, LATE_S])
def test_a_silent_peer_is_waited_for_as_long_as_was_said(connect: Connect, wait_s: float) -> None:
    wire, _ = connect()
    began = time.monotonic()
    with pytest.raises(Ended, match=rf"nothing came for {wait_s:g} s"):
        wire.read_pdu(wait_s=wait_s, largest=100)

    assert wait_s - EARLY_S < time.monotonic() - began < wait_s + BUSY_S


def test_a_peer_is_heard_after_a_long_pause(connect: Connect) -> None:
    wire, peer = connect()
    late = threading.Timer(LATE_S, lambda: peer.sendall(PDU))
    late.start()

    kind, body = wire.read_pdu(wait_s=30, largest=100)

    assert (kind, bytes(body)) == (4, b"abc")


def test_a_pdu_that_has_begun_has_its_own_deadline(connect: Connect) -> None:
    wire, peer = connect()
    peer.sendall(PDU[:-1])
    began = time.monotonic()
    with pytest.raises(Ended, match="stayed out, after 8 of 9 bytes"):
        wire.read_pdu(wait_s=30, largest=100)

    assert 0.5 - EARLY_S < time.monotonic() - began < 0.5 + BUSY_S


def test_a_slow_peer_gets_all_of_an_answer(connect: Connect) -> None:
    wire, peer = connect()
    got = bytearray()

    def read() -> None:
        time.sleep(LATE_S)  # the peer's own slowness, which is what is tested
        while len(got) < len(LARGE):
            got.extend(peer.recv(1 << 20))

    reading = threading.Thread(target=read)
    reading.start()
    wire.send(LARGE)
    reading.join()

    assert bytes(got) == LARGE


@pytest.mark.parametrize("send_timeout_s", [0.3, LATE_S])
def test_a_peer_that_takes_nothing_is_left(connect: Connect, send_timeout_s: float) -> None:
    wire, _ = connect(send_timeout_s)
    began = time.monotonic()
    with pytest.raises(Ended, match=f"did not take the answer within {send_timeout_s:g} s"):
        wire.send(LARGE)

    assert send_timeout_s - EARLY_S < time.monotonic() - began < send_timeout_s + BUSY_S


def test_a_peer_that_is_gone_is_told_apart(connect: Connect) -> None:
    wire, peer = connect()
    peer.close()
    with pytest.raises(Ended, match="the connection broke"):
        wire.send(LARGE)


def test_an_interrupted_wait_ends_at_once(connect: Connect) -> None:
    wire, _ = connect()
    began = time.monotonic()
    threading.Timer(0.2, wire.interrupt).start()
    with pytest.raises(Ended):
        wire.read_pdu(wait_s=30, largest=100)

    assert time.monotonic() - began < BUSY_S


def test_who_waits_for_its_answer_is_not_early(connect: Connect) -> None:
    wire, peer = connect()
    with closing(peer):
        assert wire.peer_was_early() is None
        peer.sendall(PDU)
        wire.has_input(10)
        assert wire.peer_was_early() == PDU[0]
        assert bytes(wire.read_pdu(wait_s=1, largest=100)[1]) == b"abc"
