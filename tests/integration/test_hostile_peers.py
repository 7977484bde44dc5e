"""Peers that mean harm, or were made badly: each gets its answer, and honest ones are served meanwhile."""

import os
import resource
import socket
import struct
import threading
import time
import tracemalloc
import zlib
from contextlib import suppress
from itertools import count
from pathlib import Path

import pytest
import structlog
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from node.intake.command import read_command
from node.intake.listener import raise_file_limit
from node.state.associations import AssociationOutcome
from node.state.transaction import PUSH_MODEL_CLASS
from tests.makers.bare import accepted, connected, pdu, proposed, request, sub_item, value
from tests.makers.elements import CT_IMAGE, DEFLATED, EXPLICIT, IMPLICIT, INSTANCE, UNDEFINED, ct, element, item
from tests.makers.part10 import part10
from tests.makers.receiver import (
    CONFIGURATION,
    VERIFICATION,
    Door,
    association,
    code,
    command,
    door,
    opened,
    process_settings,
    send,
    wait_for,
)

__all__ = ["door", "process_settings"]

ABORT = b"\x07\x00\x00\x00\x00\x04\x00\x00"


def answer(one: socket.socket) -> bytes:
    """Everything until the other side closes."""
    found = b""
    with suppress(ConnectionError):
        while chunk := one.recv(65536):
            found += chunk
    return found


def assert_honest_senders_are_served(door: Door) -> None:
    began = time.monotonic()
    with association(door, {VERIFICATION: [IMPLICIT]}) as sender:
        assert sender.send_c_echo().Status == 0x0000
    assert time.monotonic() - began < 1


@pytest.mark.parametrize("sent", [b"", b"\x01", b"\x01\x00\x00\x00\x10\x00", request()[:-1]])
def test_fifty_silent_connections_keep_nobody_waiting(door: Door, sent: bytes) -> None:
    """Nothing, one byte, a head, almost all of a request: closed at the deadline, honest senders served throughout."""
    silent = [socket.create_connection(("127.0.0.1", door.port), timeout=20) for _ in range(50)]
    for one in silent:
        one.sendall(sent)
    assert_honest_senders_are_served(door)
    began = time.monotonic()
    assert [answer(one) for one in silent] == [b""] * 50
    assert time.monotonic() - began < 5
    for one in silent:
        one.close()


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        (pdu(0x55, b"1234"), 1),
        (pdu(2, bytes(100)), 2),
        (pdu(4, value(b"")), 2),
        (pdu(1, b"", 0xFFFFFFFF), 0),
        (pdu(1, b""), 6),
        (pdu(1, os.urandom(500)), 6),
        (request()[:100] + bytes(len(request()) - 100), 6),
        (request(b""), 6),
        (request(proposed(2, CT_IMAGE, [EXPLICIT])), 6),
        (request(proposed(1, CT_IMAGE, [])), 6),
        (request(proposed(1, CT_IMAGE, [EXPLICIT]) * 2), 6),
        (request(sub_item(0x20, b"\1\0\0\0" + sub_item(0x40, EXPLICIT.encode()))), 6),
        (pdu(1, request()[6:-1]), 6),
        (request(calling=bytes(16)), 6),
        (request(calling=b"a\\b"), 6),
        (request(calling=b"\x1b[2J"), 6),
        (request(calling="Ä".encode()), 6),
    ],
)
def test_what_is_no_association_request_is_aborted(door: Door, sent: bytes, reason: int) -> None:
    """A-ABORT by the service provider, with the reason of PS3.8 table 9-26."""
    with connected(door) as one:
        one.sendall(sent)
        assert one.recv(10) == ABORT + bytes([2, reason])
    told = door.ended()
    assert (told.outcome, told.calling_ae, told.peer) == (AssociationOutcome.ABORTED, "", None)
    assert told.why
    assert_honest_senders_are_served(door)


@pytest.mark.parametrize(
    ("early", "answered"),
    [
        (ABORT + b"\x00\x00", b""),
        (pdu(4, value(command())), ABORT + b"\x02\x02"),
        (pdu(5, bytes(4)), ABORT + b"\x02\x02"),
        (request(), ABORT + b"\x02\x02"),
        (b"\xff", ABORT + b"\x02\x01"),
    ],
)
def test_who_does_not_wait_for_the_acceptance_gets_none(door: Door, early: bytes, answered: bytes) -> None:
    """Glued to the A-ASSOCIATE-RQ: an A-ABORT, data, a release, another request."""
    with connected(door) as one:
        one.sendall(request() + early)
        assert one.recv(100) == answered
    assert [one for one in door.records() if one.peer is not None] == []


def test_a_peer_that_asks_and_closes_gets_no_acceptance(door: Door) -> None:
    """FIN glued to the request, in one segment."""
    with connected(door) as one:
        one.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)
        one.sendall(request())
        one.shutdown(socket.SHUT_WR)
        assert answer(one) == b""


@pytest.mark.parametrize("calling", [b"../../x", b"<script>", b"' OR 1=1--", b"%s%s%n", b"=cmd|x"])
def test_hostile_ae_titles_are_rejected_and_told_as_they_are(door: Door, calling: bytes) -> None:
    """They are legal AE titles, and no path, markup or statement."""
    with connected(door) as one:
        one.sendall(request(calling=calling, called=b"ISOCENTER"))
        assert one.recv(10) == pdu(3, bytes([0, 1, 1, 3]))
        one.close()
    assert door.ended().calling_ae == calling.decode()


def test_a_request_with_everything_in_it_is_answered_at_once(door: Door) -> None:
    """128 contexts of 40 transfer syntaxes: accepted within a second of processor time; a megabyte is not read."""
    syntaxes = [EXPLICIT, *(f"1.2.840.10008.1.2.4.{number}" for number in range(50, 89))]
    began = time.process_time()
    everything = b"".join(proposed(2 * number + 1, CT_IMAGE, syntaxes) for number in range(128))
    with accepted(door, request(everything)) as one:
        one.sendall(pdu(5, bytes(4)))
        assert one.recv(10) == pdu(6, bytes(4))
    assert time.process_time() - began < 1
    with connected(door) as one, suppress(ConnectionError):
        one.sendall(pdu(1, request()[6:] + sub_item(0x50, bytes(60_000)) * 18))
        assert answer(one)[:1] in (b"", b"\x07")


@pytest.mark.parametrize(
    ("sent", "reason", "why"),
    [
        (pdu(0x55, b"1234"), 1, "unknown type 85"),
        (request(), 2, "type 1 has no place"),
        (pdu(2, bytes(100)), 2, "type 2 has no place"),
        (pdu(6, bytes(4)), 2, "type 6 has no place"),
        (pdu(4, b"", 0xFFFFFFFF), 0, "longer than"),
        (pdu(4, b""), 6, "without a value"),
        (pdu(4, b"123"), 6, "value's head"),
        (pdu(4, value(b"", length=0)), 6, "not within"),
        (pdu(4, value(b"", length=1)), 6, "not within"),
        (pdu(4, value(b"1234", length=7)), 6, "not within"),
        (pdu(4, value(b"1234", length=0xFFFFFFFF)), 6, "not within"),
        (pdu(4, value(b"data", control=2)), 5, "without its command"),
        (pdu(4, value(command()) + value(command())), 5, "within a data set"),
        (pdu(4, value(command(), context=3)), 0, "not accepted"),
        (pdu(4, value(command()) + value(ct(), context=3, control=2)), 6, "several presentation contexts"),
        (pdu(4, value(b"\xff" * 100)), 0, "garbled"),
        (pdu(4, value(command()[:-3])), 0, "garbled"),
        (pdu(4, value(command()[:14])), 0, "cut off"),
        (pdu(4, value(b"")), 0, "without CommandField"),
        (pdu(4, value(command(lacking=0x00000800))), 0, "without CommandDataSetType"),
        (pdu(4, value(command(lacking=0x00000110) + element(0x00000110, "US", b"1234", IMPLICIT))), 0, "MessageID"),
        (pdu(4, value(bytes(60_000), control=1)) * 2, 0, "longer than"),
    ],
)
def test_what_breaks_the_protocol_ends_the_association(door: Door, sent: bytes, reason: int, why: str) -> None:
    """A-ABORT with its reason, and the journal says what was wrong; the log does not take it for a fault of ours."""
    with structlog.testing.capture_logs() as logs, accepted(door) as one:
        one.sendall(sent)
        assert one.recv(10) == ABORT + bytes([2, reason])
    assert [one for one in logs if one["log_level"] == "error"] == []
    assert door.ended().outcome is AssociationOutcome.ABORTED
    assert why in door.ended().why
    assert door.files() == []


def test_why_an_instance_was_refused_is_told_with_its_association(door: Door, tmp_path: Path) -> None:
    with association(door) as sender:
        assert code(sender.send_c_store(part10(tmp_path / "one.dcm", ct()[:-7]))) == 0xC000
    assert door.ended().why == (
        "1 instance was refused, with C000: the data set is cut off in (7FE0,0010): send the instance again"
    )


@pytest.mark.parametrize("sent", [command()[:20], command() + ct()[:100]])
def test_a_release_within_a_message_is_told(door: Door, sent: bytes) -> None:
    """It is granted, but a part of what the sender meant to send is not here."""
    with accepted(door) as one:
        data_set = sent[len(command()) :]
        one.sendall(pdu(4, value(sent[: len(command())], control=3 if data_set else 1)))
        if data_set:
            one.sendall(pdu(4, value(data_set, control=0)))
        one.sendall(pdu(5, bytes(4)))
        assert one.recv(1) == b"\x06"
    assert door.ended().outcome is AssociationOutcome.RELEASED
    assert "within a message" in door.ended().why
    assert list((door.home / "spool" / "aside").iterdir()) == []


def test_a_message_of_storage_commitment_without_an_end_is_told_as_such(tmp_path: Path) -> None:
    """Room for instances has nothing to do with it."""
    asker = {"name": "ct1", "ae_title": "SENDER", "address": "127.0.0.1", "port": 1, "commitment": True}
    pacs = {"name": "pacs", "ae_title": "PACS", "address": "127.0.0.1", "port": 2, "proof": "find"}
    peers = [{**asker, "archive": "pacs"}, pacs]
    changed = {**CONFIGURATION, "peers": peers}
    asked = command().replace(struct.pack("<HHIH", 0, 0x0100, 2, 1), struct.pack("<HHIH", 0, 0x0100, 2, 0x0130))
    with opened(tmp_path / "home", configuration=changed, max_identifier_bytes=1000) as door:
        with connected(door) as one:
            one.sendall(request(proposed(1, PUSH_MODEL_CLASS, [IMPLICIT])))
            assert one.recv(1) == b"\x02"
            one.sendall(pdu(4, value(asked) + value(bytes(1001), control=0)))
            answer(one)
        assert "ask for fewer instances" in door.ended().why


@pytest.mark.parametrize("field", [0x0020, 0x0010, 0x0021, 0x0150, 0x0140, 0x8001, 0x1234])
def test_a_service_that_was_not_negotiated_ends_the_association(door: Door, field: int) -> None:
    """C-FIND, C-GET, C-MOVE, N-DELETE, N-CREATE, a response, nonsense."""
    with association(door) as sender:
        content = command().replace(struct.pack("<HHIH", 0, 0x0100, 2, 1), struct.pack("<HHIH", 0, 0x0100, 2, field))
        send(sender, sender.accepted_contexts[0].context_id, content, b"")
        wait_for(lambda: sender.is_aborted)
    assert "not served" in door.ended().why


def test_a_deflate_bomb_is_refused_and_costs_no_memory(door: Door, tmp_path: Path) -> None:
    """600 MB of zeros in 600 kB: C000, and the association goes on."""
    deflater = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
    bomb = deflater.compress(ct(pixels=b"")[:-12] + struct.pack("<HH2s2xI", 0x7FE0, 0x0010, b"OW", 600 << 20))
    bomb += b"".join(deflater.compress(bytes(1 << 20)) for _ in range(600)) + deflater.flush()
    before = _peak_mb()
    with association(door, {CT_IMAGE: [DEFLATED]}) as sender:
        assert code(sender.send_c_store(part10(tmp_path / "bomb.dcm", bomb, syntax=DEFLATED))) == 0xC000
    assert _peak_mb() - before < 20
    assert door.files() == []


@pytest.mark.parametrize(
    ("extra", "status"),
    [
        (element(0x00100010, "UN", b"A" * 700_000), 0x0000),
        (element(0x00080018, "UI", "1" * 60_000), 0xC000),
        (element(0x00200032, "DS", "1\\" * 30_000), 0x0000),
        (element(0x00091010, "UN", bytes(800_000)), 0x0000),
        (struct.pack("<HH2s2xI", 8, 0x1140, b"SQ", UNDEFINED) + item(b"", UNDEFINED)[:8], 0xC000),
        ((struct.pack("<HH2s2xI", 8, 0x1140, b"SQ", UNDEFINED) + item()[:4] + b"\xff" * 4) * 300, 0xC000),
    ],
)
def test_hostile_elements_are_passed_over_or_refused(door: Door, tmp_path: Path, extra: bytes, status: int) -> None:
    """Names of most of a megabyte, UIDs of 60 kB, unended and 300 nested sequences."""
    file = part10(tmp_path / "one.dcm", ct(extra=extra))
    with association(door) as sender:
        assert code(sender.send_c_store(file)) == status
        assert code(sender.send_c_store(part10(tmp_path / "good.dcm", ct(study="1.2.3")))) == 0x0000


def test_names_of_ten_megabytes_are_not_held(tmp_path: Path) -> None:
    """A patient's, one in a UID's place, and a private element of unknown VR: they pass, and memory stays."""
    cases = [(0x00100010, "UN", 0x0000), (0x0020000E, "UN", 0xC000), (0x00091010, "UN", 0x0000)]
    files = [
        part10(
            tmp_path / f"{n}.dcm",
            ct(instance=f"1.2.{n}", extra=element(tag, vr, b"1" * 10_000_000)),
            instance=f"1.2.{n}",
        )
        for n, (tag, vr, _) in enumerate(cases)
    ]
    with opened(tmp_path / "home", {"max_instance_mb": 32}) as door, association(door) as sender:
        assert code(sender.send_c_store(part10(tmp_path / "first.dcm", ct()))) == 0x0000
        tracemalloc.start()
        try:
            assert [code(sender.send_c_store(one)) for one in files] == [status for _, _, status in cases]
            # The sender, in this process too, holds PDUs that wait.
            assert tracemalloc.get_traced_memory()[1] < 24 << 20
        finally:
            tracemalloc.stop()
        assert len(door.files()) == 3


def test_requests_that_do_not_wait_for_their_answers_are_served_in_turn(door: Door) -> None:
    """Twenty instances in one breath: twenty answers, and no more memory than for one."""
    before = _peak_mb()
    with accepted(door) as one:
        sender = threading.Thread(
            target=one.sendall, args=(b"".join(_store(f"1.2.3.{n}", 900_000) for n in range(20)),)
        )
        sender.start()
        statuses = [_status(one) for _ in range(20)]
        sender.join()

    assert statuses == [0x0000] * 20
    assert len(door.files()) == 20
    assert _peak_mb() - before < 60


def test_there_is_no_limit_at_1024_descriptors(door: Door) -> None:
    """A receiver with 1100 files open takes associations as ever."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    raise_file_limit()
    held = [os.open("/dev/null", os.O_RDONLY) for _ in range(1100)]
    try:
        with accepted(door) as one:
            one.sendall(_store(INSTANCE, 1000))
            assert _status(one) == 0x0000
    finally:
        for file in held:
            os.close(file)
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


def test_thousands_of_associations_and_probes_leave_nothing(door: Door) -> None:
    """One after another: descriptors, threads and memory stay as they were."""

    def once() -> None:
        with accepted(door) as one:
            one.sendall(pdu(5, bytes(4)))
            assert one.recv(10) == pdu(6, bytes(4))

    def settled() -> bool:
        return not [one for one in threading.enumerate() if one.name.startswith("association")]

    for _ in range(50):
        once()
    wait_for(settled)
    files, memory = _open_files(), _now_mb()
    for number in range(1000):
        once() if number % 2 else socket.create_connection(("127.0.0.1", door.port)).close()
    wait_for(settled)

    assert _open_files() == files
    assert _now_mb() - memory < 20


examples = count(1)
mutations = st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 255)), min_size=1, max_size=8)


@given(st.data())
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_mutated_conversation_never_acknowledges_what_is_not_there(door: Door, data: st.DataObject) -> None:
    """Bytes changed, cut or doubled anywhere after a valid association: no crash, no 0000 without a file."""
    number = 10_000 + next(examples)  # of constant length: what is drawn must not depend on it
    instances = [f"1.2.3.{number}.{n}" for n in (1, 2)]
    sent = bytearray(_store(instances[0], 1000) + _store(instances[1], 1000) + pdu(5, bytes(4)))
    for place, byte in data.draw(mutations):
        sent[place % len(sent)] = byte
    if data.draw(st.booleans()):
        start = data.draw(st.integers(0, len(sent) - 1))
        del sent[start : start + data.draw(st.integers(0, 300))]
    with accepted(door) as one:
        with suppress(ConnectionError):
            one.sendall(sent)
            one.shutdown(socket.SHUT_WR)
        said = answer(one)

    assert {f"{uid}.dcm" for uid in _acknowledged(said)} <= {path.name for path in door.files()}
    wait_for(lambda: list((door.home / "spool" / "aside").iterdir()) == [])


def _store(instance: str, size: int) -> bytes:
    content = ct(instance=instance, pixels=bytes(size), study="1.2")
    pieces = [content[start : start + 16000] for start in range(0, len(content), 16000)]
    data = [pdu(4, value(one, control=2 if one is pieces[-1] else 0)) for one in pieces]
    return pdu(4, value(command(instance=instance))) + b"".join(data)


def _status(one: socket.socket) -> int:
    """The status of the next response."""
    _, length = struct.unpack(">BxI", one.recv(6, socket.MSG_WAITALL))
    body = one.recv(length, socket.MSG_WAITALL)
    place = body.index(struct.pack("<HHI", 0, 0x0900, 2))
    return int(struct.unpack_from("<H", body, place + 8)[0])


def _open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def _acknowledged(said: bytes) -> list[str]:
    """Instances that were answered 0000."""
    found = []
    while len(said) >= 6:
        kind, length = struct.unpack_from(">BxI", said)
        if kind == 4:
            told = read_command(said[12 : 6 + length])
            found += [told.uid(0x1000)] if told.elements[0x0900] == b"\0\0" else []
        said = said[6 + length :]
    return found


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _now_mb() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / (1 << 20)
