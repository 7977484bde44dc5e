"""The door as senders see it: DCMTK and hostile peers against the real receiver."""

import fcntl
import gc
import re
import socket
import struct
import threading
import time
from pathlib import Path

import pydicom
import pytest
import structlog

from node.intake import listener
from node.settings import Configuration
from node.state.associations import AssociationOutcome
from node.state.spool import read_meta
from tests.makers.bare import rejection, request
from tests.makers.elements import CT_IMAGE, EXPLICIT, IMPLICIT, INSTANCE, STUDY, ct, element
from tests.makers.part10 import data_set_of, part10
from tests.makers.receiver import (
    CONFIGURATION,
    MR_IMAGE,
    VERIFICATION,
    Door,
    answer_to,
    association,
    closed,
    code,
    command,
    door,
    opened,
    process_settings,
    request_bytes,
    run,
    send,
    send_value,
    wait_for,
)

__all__ = ["door", "process_settings"]


# Who may come


@pytest.mark.real("dcmtk")
@pytest.mark.parametrize("called", ["ISOCENTER", "SECOND"])
def test_echo_is_answered_at_every_ae_title(door: Door, called: str) -> None:
    """DCMTK's echoscu; also a destination may verify."""
    for calling in ("SENDER", "PACS"):
        assert run("echoscu", "-aet", calling, "-aec", called, "127.0.0.1", str(door.port)).returncode == 0


@pytest.mark.real("dcmtk")
@pytest.mark.parametrize(
    ("calling", "called", "reason"),
    [
        ("SENDER", "OTHER", "Called AE Title Not Recognized"),
        ("NOBODY", "ISOCENTER", "Calling AE Title Not Recognized"),
        ("AWAY", "ISOCENTER", "Calling AE Title Not Recognized"),
        ("../../x", "ISOCENTER", "Calling AE Title Not Recognized"),
    ],
)
def test_strangers_are_rejected_and_listed(door: Door, calling: str, called: str, reason: str) -> None:
    """The sender sees why in its own words, the operator in ours."""
    done = run("echoscu", "-aet", calling, "-aec", called, "127.0.0.1", str(door.port))

    assert reason in done.stderr + done.stdout
    record = door.ended()
    assert (record.outcome, record.calling_ae, record.called_ae) == (AssociationOutcome.REJECTED, calling, called)
    assert record.why


def test_ae_titles_padded_with_nul_are_understood(door: Door) -> None:
    """Some devices pad so."""
    with association(door) as sender:
        raw = bytearray(request_bytes(sender))
    raw[10:42] = raw[10:42].replace(b" ", b"\0")

    with socket.create_connection(("127.0.0.1", door.port)) as connection:
        connection.sendall(raw)
        assert connection.recv(1) == b"\x02"
    wait_for(lambda: [(one.calling_ae, one.called_ae) for one in door.records()][-1:] == [("SENDER", "ISOCENTER")])


def test_a_receiver_that_cannot_accept_knows_it(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its process lives, so that nobody else would notice."""
    monkeypatch.setattr(listener, "STUCK_AFTER_S", 1.5)
    assert door.listener.is_accepting
    with (door.home / "run" / "seats").open("r+b") as seats:
        fcntl.flock(seats, fcntl.LOCK_EX)
        with socket.create_connection(("127.0.0.1", door.port)):
            wait_for(lambda: not door.listener.is_accepting)
            fcntl.flock(seats, fcntl.LOCK_UN)
            wait_for(lambda: door.listener.is_accepting)


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        (request().replace(b"1.2.840.10008.3.1.1.1", b"1.2.840.10008.3.1.1.2"), (1, 1, 2)),
        (request()[:6] + b"\0\2" + request()[8:], (1, 2, 2)),
    ],
)
def test_who_speaks_another_protocol_is_rejected(door: Door, sent: bytes, reason: tuple[int, int, int]) -> None:
    """Another application context, or no version that we know (PS3.8 table 9-21)."""
    assert rejection(door, sent) == reason
    assert "vendor" in door.ended().why


def test_changed_peers_are_admitted_without_a_restart(door: Door) -> None:
    """The next association goes by the new ones."""
    assert rejection(door, request(calling=b"LATER")) == (1, 1, 3)
    peers = [*CONFIGURATION["peers"], {"name": "later", "ae_title": "LATER", "roles": ["source"]}]
    door.listener.configure(Configuration.model_validate({**CONFIGURATION, "peers": peers}))

    with association(door, calling="LATER") as sender:
        assert sender.is_established


def test_who_may_not_send_gets_no_storage_context(door: Door) -> None:
    """A destination's association is open for verification alone."""
    with association(door, {CT_IMAGE: [EXPLICIT], VERIFICATION: [IMPLICIT]}, calling="PACS") as sender:
        assert [one.abstract_syntax for one in sender.accepted_contexts] == [VERIFICATION]
    assert "add source to the peer's roles in peers.toml" in door.ended().why


def test_who_proposes_nothing_that_is_taken_is_told(door: Door) -> None:
    with association(door, {"1.2.840.10008.5.1.4.31": [IMPLICIT]}) as sender:
        assert sender.is_aborted
    assert "proposed nothing that this node takes" in door.ended().why


# What arrives


@pytest.mark.real("dcmtk")
def test_what_dcmsend_sends_lies_in_the_spool(door: Door, tmp_path: Path) -> None:
    """Every instance, byte by byte, with its origin."""
    sent = [ct(instance=f"1.2.3.{number}", pixels=bytes([number]) * 5000) for number in range(20)]
    files = [part10(tmp_path / f"{n}.dcm", one, instance=f"1.2.3.{n}") for n, one in enumerate(sent)]
    done = run("dcmsend", "-aet", "SENDER", "-aec", "SECOND", "127.0.0.1", str(door.port), *files)

    assert done.returncode == 0
    assert door.data_sets() == sorted(sent)
    meta = read_meta(door.files()[0])
    assert (meta.calling_ae, meta.called_ae, meta.address, meta.peer) == ("SENDER", "SECOND", "127.0.0.1", "ct1")
    record = door.ended()
    assert (record.outcome, record.stored, record.study_uid) == (AssociationOutcome.RELEASED, 20, STUDY)
    assert (record.id, record.stored_bytes) == (meta.association_id, sum(map(len, sent)))


@pytest.mark.real("data")
def test_every_transfer_syntax_arrives_unchanged(door: Door, data: Path) -> None:
    """Nine files, seven syntaxes; the data set's bytes are those that were sent."""
    files = sorted((data / "transfer-syntaxes-mr").rglob("*.dcm"))
    assert len(files) == 9
    for file in files:
        syntax = str(pydicom.filereader.read_file_meta_info(file).TransferSyntaxUID)
        with association(door, {MR_IMAGE: [syntax, EXPLICIT]}) as sender:
            assert code(sender.send_c_store(file)) == 0x0000

    assert door.data_sets() == sorted(map(data_set_of, files))


@pytest.mark.real("data", "dcmtk")
def test_real_studies_are_taken_whole(door: Door, data: Path) -> None:
    """A tilted head and an enhanced MR of 96 frames, as a PACS would send them."""
    done = run(
        "dcmsend", "-aet", "SENDER", "-aec", "ISOCENTER", "+sd", "127.0.0.1", str(door.port), data / "ct-head-tilted"
    )

    assert done.returncode == 0, done.stderr
    assert len(door.files()) == len(list((data / "ct-head-tilted").glob("*.dcm"))) > 0


@pytest.mark.parametrize("sop_class", ["1.2.840.10008.5.1.4.1.1.66.7", "1.2.840.10008.5.1.4.1.1.5"])
def test_new_and_retired_storage_classes_are_taken(door: Door, tmp_path: Path, sop_class: str) -> None:
    """Label map segmentations, and Nuclear Medicine of old archives."""
    file = part10(tmp_path / "one.dcm", ct(sop_class=sop_class), sop_class=sop_class)
    with association(door, {sop_class: [EXPLICIT]}) as sender:
        assert code(sender.send_c_store(file)) == 0x0000
    assert len(door.files()) == 1


def test_the_same_instance_again_changes_nothing(door: Door, tmp_path: Path) -> None:
    """0000, one file."""
    file = part10(tmp_path / "one.dcm", ct())
    with association(door) as sender:
        assert [code(sender.send_c_store(file)) for _ in range(2)] == [0x0000, 0x0000]
    assert door.data_sets() == [ct()]


def test_other_bytes_under_the_same_uid_are_kept_too(door: Door, tmp_path: Path) -> None:
    """0000, both kept; a strict peer is answered 0111."""
    first = part10(tmp_path / "first.dcm", ct())
    other, third = (part10(tmp_path / f"{n}.dcm", ct(pixels=bytes([n]) * 9)) for n in range(2))
    with association(door) as sender:
        assert [code(sender.send_c_store(file)) for file in (first, other)] == [0x0000, 0x0000]
    with association(door, calling="STRICT") as sender:
        assert [code(sender.send_c_store(file)) for file in (third, first)] == [0x0111, 0x0000]

    assert door.data_sets() == sorted([ct(), ct(pixels=bytes(9))])
    assert data_set_of(door.home / "spool" / "instances" / STUDY / f"{INSTANCE}.dcm") == ct()


# What is turned away


@pytest.mark.parametrize(
    ("data_set", "instance", "status"),
    [
        (ct(instance="../../x"), "../../x", 0xC000),
        (ct(instance="../../x"), INSTANCE, 0xC000),
        (ct(study="../../x"), INSTANCE, 0xC000),
        (ct(series="/abs"), INSTANCE, 0xC000),
        (ct(instance=".."), "..", 0xC000),
        (ct(), "1.2.3", 0xA900),
        (ct(sop_class=MR_IMAGE), INSTANCE, 0xA900),
        (b"", INSTANCE, 0xC000),
        (b"\xff" * 1000, INSTANCE, 0xC000),
        (ct(syntax=IMPLICIT), INSTANCE, 0xC000),
        (ct(pixels=bytes(1 << 20)), INSTANCE, 0xC000),
        (ct().replace(element(0x0020000D, "UI", STUDY), b""), INSTANCE, 0xC000),
        *((ct()[: len(ct()) * tenth // 10], INSTANCE, 0xC000) for tenth in range(1, 10)),
    ],
)
def test_bad_instances_are_refused_and_good_ones_go_on(
    door: Door, tmp_path: Path, data_set: bytes, instance: str, status: int
) -> None:
    """With a comment, on an association that stays; nothing is written anywhere."""
    before = {path for path in tmp_path.rglob("*") if path.suffix != ".json"}
    bad, good = part10(tmp_path / "bad.dcm", data_set, instance=instance), part10(tmp_path / "good.dcm", ct())
    with association(door) as sender:
        refused = sender.send_c_store(bad)
        after = {path for path in tmp_path.rglob("*") if path.suffix not in (".json", ".part")}
        assert code(sender.send_c_store(good)) == 0x0000

    assert code(refused) == status
    assert refused.ErrorComment
    assert after - before == {bad, good}
    assert door.data_sets() == [ct()]
    assert (door.ended().stored, door.ended().refused) == (1, 1)


def test_the_offending_element_is_named(door: Door, tmp_path: Path) -> None:
    """So that the sender's side can be repaired."""
    with association(door) as sender:
        refused = sender.send_c_store(part10(tmp_path / "bad.dcm", ct(study="x")))

    assert refused.OffendingElement == 0x0020000D


def test_a_command_of_another_class_than_its_context_is_refused(door: Door) -> None:
    """A900, whatever the data set says."""
    with association(door) as sender:
        context = sender.accepted_contexts[0].context_id
        answer = answer_to(sender, context, command(sop_class=MR_IMAGE), ct(sop_class=MR_IMAGE))
        assert (answer.Status, answer.OffendingElement) == (0xA900, 0x00000002)
    assert door.files() == []


@pytest.mark.parametrize("sop_class", [VERIFICATION, CT_IMAGE])
def test_nothing_is_stored_by_way_of_verification(door: Door, sop_class: str) -> None:
    """The library would answer as if it were an echo: acknowledged, and lost."""
    with association(door, {VERIFICATION: [IMPLICIT]}) as sender:
        send(sender, 1, command(sop_class=sop_class), ct(sop_class=sop_class, syntax=IMPLICIT))
        wait_for(lambda: sender.is_aborted)

    assert "C-STORE is not served" in door.ended().why
    assert door.files() == []


@pytest.mark.parametrize("instance", ["1.2\\1.3", "1" * 65, "1" * 60_000, "../../x", "1.2\n", ".."])
def test_a_command_whose_uid_is_none_is_refused(door: Door, instance: str) -> None:
    """C000 with the element; the response does not repeat it, and the association goes on."""
    with association(door) as sender:
        context = sender.accepted_contexts[0].context_id
        answer = answer_to(sender, context, command(instance=instance), ct())
        assert (answer.Status, answer.OffendingElement) == (0xC000, 0x00001000)
        assert answer_to(sender, context, command(), ct()).Status == 0x0000


def test_a_fault_of_our_own_is_answered_0110_with_an_id(door: Door, tmp_path: Path) -> None:
    """Never the library's C211; the log has the id and the trace."""
    aside = door.home / "spool" / "aside"
    aside.rmdir()
    aside.write_bytes(b"in the way")
    with structlog.testing.capture_logs() as logs, association(door) as sender:
        refused = sender.send_c_store(part10(tmp_path / "one.dcm", ct()))

    assert code(refused) == 0x0110
    (fault,) = [entry for entry in logs if entry["event"] == "instance-fault"]
    assert fault["fault"] in refused.ErrorComment


@pytest.mark.parametrize(
    "change",
    [
        {"lacking": 0x00000110},
        {"lacking": 0x00000002},
        {"lacking": 0x00001000},
        {"instance": ""},
    ],
    ids=lambda change: str(change)[:40],
)
def test_a_command_that_cannot_be_answered_ends_the_association(door: Door, change: dict) -> None:
    """Without Message ID or a UID that a response can repeat: A-ABORT at once, and the journal says why."""
    with association(door) as sender:
        send(sender, sender.accepted_contexts[0].context_id, command(**change), ct())
        wait_for(lambda: sender.is_aborted)

    assert door.ended().outcome is AssociationOutcome.ABORTED
    assert "a C-STORE request came without" in door.ended().why
    assert door.files() == []


def test_a_data_set_on_another_context_than_its_command_ends_the_association(door: Door) -> None:
    """Its transfer syntax would be a guess."""
    with association(door, {CT_IMAGE: [EXPLICIT], MR_IMAGE: [EXPLICIT]}) as sender:
        first, second = (context.context_id for context in sender.accepted_contexts)
        send(sender, first, command(), ct(), data_context=second)
        wait_for(lambda: sender.is_aborted)

    assert "several presentation contexts" in door.ended().why


def test_an_endless_instance_ends_the_association_at_the_limit(door: Door) -> None:
    """Still streaming beyond intake.max_instance_mb: A-ABORT, not memory."""
    with association(door) as sender:
        context = sender.accepted_contexts[0].context_id
        send_value(sender, context, b"\x03" + command())
        while not sender.is_aborted:
            send_value(sender, context, b"\x00" + bytes(100_000))
            wait_for(lambda: sender.dul.to_provider_queue.empty() or sender.is_aborted)

    assert "max_instance_mb" in door.ended().why


# Peers that misbehave


@pytest.mark.parametrize("sent", [b"", b"\x01", b"\x01\x00\x00\x00\x10\x00", b"\x01\x00\x00\x00\x10\x00half"])
def test_a_pdu_that_never_ends_is_given_up(door: Door, sent: bytes) -> None:
    """After its deadline; honest peers are served meanwhile."""
    with socket.create_connection(("127.0.0.1", door.port), timeout=20) as silent:
        silent.sendall(sent)
        with association(door) as sender:
            assert sender.is_established
        assert silent.recv(100)[:1] in (b"", b"\x07")


def test_a_peer_that_trickles_is_given_up(door: Door) -> None:
    """A byte now and then does not extend the deadline."""
    began = time.monotonic()
    with socket.create_connection(("127.0.0.1", door.port), timeout=20) as slow:
        slow.sendall(struct.pack(">BBI", 1, 0, 1000))
        slow.settimeout(0.1)
        while not closed(slow):
            assert time.monotonic() - began < 20
            slow.sendall(b"x")


def test_a_long_pdu_is_refused_unread(door: Door) -> None:
    """Before an association and in one, whatever length it declares."""
    with socket.create_connection(("127.0.0.1", door.port), timeout=20) as rude:
        rude.sendall(struct.pack(">BBI", 1, 0, 0xFFFFFFFF))
        assert rude.recv(100)[:1] == b"\x07"
    with association(door) as sender:
        sender.dul.socket.socket.sendall(struct.pack(">BBI", 4, 0, 0xFFFFFFFF) + bytes(10))
        wait_for(lambda: not sender.is_established)

    wait_for(lambda: len([one for one in door.records() if not one.is_open]) == 2)
    for told in door.records():
        assert "longer than" in told.why
        assert "set the sender's PDU length" in told.why


def test_connections_without_a_request_leave_nothing(door: Door) -> None:
    """What load balancers do all day: no record, no thread, no open file, even where the peer resets."""
    gc.collect()
    before = len(list(Path("/proc/self/fd").iterdir()))
    gc.disable()
    try:
        for number in range(20):
            with socket.create_connection(("127.0.0.1", door.port)) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", number % 2, 0))
        wait_for(lambda: len(list(Path("/proc/self/fd").iterdir())) <= before)
        wait_for(lambda: not [one for one in threading.enumerate() if one.name.startswith("association")])
    finally:
        gc.enable()
    assert door.records() == []


def test_an_idle_association_is_ended(tmp_path: Path) -> None:
    """After the idle time-out, and the journal says so."""
    with opened(tmp_path, idle_timeout_s=0.5) as door, association(door) as sender:
        wait_for(lambda: sender.is_aborted)
        assert "nothing came for 0.5 s" in door.ended().why


def test_more_associations_than_the_limit_are_asked_to_come_back(tmp_path: Path) -> None:
    """(2,3,2), transient."""
    with opened(tmp_path, {"associations": 2}) as door, association(door), association(door):
        assert rejection(door, request()) == (2, 3, 2)


def test_receivers_of_one_home_share_the_limit(tmp_path: Path) -> None:
    """Two of them accept from the same socket; together they take no more than one would."""
    with opened(tmp_path, {"associations": 2}) as door:
        second = door.listen()
        try:
            with association(door), association(door):
                assert rejection(door, request()) == (2, 3, 2)
            wait_for(lambda: [one.why for one in door.records() if one.why] != [])
            assert "too many associations" in next(one.why for one in door.records() if one.why)
        finally:
            second.stop()


def test_one_address_cannot_take_all_places(tmp_path: Path) -> None:
    """intake.associations_per_address."""
    with opened(tmp_path, {"associations_per_address": 1}) as door, association(door):
        assert rejection(door, request()) == (2, 3, 2)


# Stopping


def test_a_draining_receiver_asks_to_come_back(door: Door, tmp_path: Path) -> None:
    """A700 on what is open; it ends when the sender releases."""
    file = part10(tmp_path / "one.dcm", ct())
    drained: list[bool] = []
    with association(door) as sender:
        assert code(sender.send_c_store(file)) == 0x0000
        drain = threading.Thread(target=lambda: drained.append(door.listener.drain(20)))
        drain.start()
        wait_for(lambda: code(sender.send_c_store(file)) == 0xA700)
    drain.join()

    assert drained == [True]


def test_the_next_receiver_serves_who_came_in_between(door: Door) -> None:
    """The listening socket outlives a receiver: nobody is turned away at its restart."""
    door.listener.stop()
    with socket.create_connection(("127.0.0.1", door.port), timeout=20) as early:
        door.listener = door.listen()
        early.sendall(b"\x07\x00\x00\x00\x00\x04\x00\x00\x00\x00")
        assert early.recv(100)[:1] in (b"", b"\x07")
    with association(door) as sender:
        assert sender.is_established


def test_stopping_ends_what_is_open(door: Door) -> None:
    """Those that did not end in time are aborted, and told why."""
    with association(door) as sender:
        door.listener.stop()
        wait_for(lambda: sender.is_aborted)

    assert "the node was stopped" in door.ended().why


def test_nothing_of_the_patient_is_logged(door: Door, tmp_path: Path) -> None:
    """Neither name nor id, whether taken or refused."""
    data_set = ct(extra=element(0x00104000, "LT", "SECRETWORD"))
    good, bad = part10(tmp_path / "1.dcm", data_set), part10(tmp_path / "2.dcm", data_set, instance="1.2.3")
    with structlog.testing.capture_logs() as logs, association(door) as sender:
        assert [code(sender.send_c_store(file)) for file in (good, bad)] == [0x0000, 0xA900]

    assert len(logs) >= 2
    assert not re.search("SECRETWORD|Test.Patient", repr(logs))
