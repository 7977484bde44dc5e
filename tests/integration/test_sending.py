"""Sending to real peers, honest and misbehaving: every object gets its outcome, in bounded time."""

import json
import os
import socket
import ssl
import struct
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import Dataset, FileMetaDataset, dcmread, dcmwrite
from pydicom.uid import (
    CTImageStorage,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    RLELossless,
    SegmentationStorage,
)
from pynetdicom import AE, evt
from pynetdicom.pdu import A_ASSOCIATE_AC, A_ASSOCIATE_RQ
from pynetdicom.presentation import PresentationContext

from node.core.identity import derived_uid
from node.sending import association, pdu
from node.sending.destination import Destination, Parcel, SendOutcome, SendReport
from node.sending.dimse import DimseSender
from tests.makers.programs import ENDS_WITH_US

ACCEPTED, LATER, PARKED = SendOutcome.ACCEPTED, SendOutcome.LATER, SendOutcome.PARKED
LABEL_MAP_SEGMENTATION = "1.2.840.10008.5.1.4.1.1.66.7"
SUCCESS = pdu.command_set({pdu.Tag.MESSAGE_ID_BEING_RESPONDED_TO: 1, pdu.Tag.STATUS: 0})
"""A C-STORE response to the first message."""
TIMEOUT_S = 1.0
GIVEN_UP_WITHIN_S = 4 * TIMEOUT_S
"""Far above the timeout, for a busy machine, and far below any default."""


def destination(port: int, **changes: Any) -> Destination:
    """A peer on this machine that is given up after one second wherever it can misbehave."""
    short = Destination("the PACS", "ARCHIVE", "127.0.0.1", port, "ISOCENTER", None, *[TIMEOUT_S] * 4)
    return replace(short, **changes)


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., Parcel]:
    """Makes one small CT image, written as a file."""
    count = 0

    def make_one(syntax: str = ExplicitVRLittleEndian, sop_class: str = CTImageStorage, rows: int = 64) -> Parcel:
        nonlocal count
        count += 1
        image = Dataset()
        image.SOPClassUID = sop_class
        image.SOPInstanceUID = derived_uid("test", str(tmp_path), str(count))
        image.StudyInstanceUID, image.SeriesInstanceUID = derived_uid("study"), derived_uid("series")
        image.SpecificCharacterSet = "ISO_IR 192"
        image.PatientName, image.PatientID = "Müller^Test", "T1"
        image.Modality, image.StudyID, image.SeriesNumber, image.InstanceNumber = "CT", "1", 1, count
        image.StudyDate = image.StudyTime = image.AccessionNumber = ""
        image.Rows = image.Columns = rows
        image.SamplesPerPixel, image.PhotometricInterpretation, image.PixelRepresentation = 1, "MONOCHROME2", 0
        image.BitsAllocated, image.BitsStored, image.HighBit = 16, 16, 15
        image.PixelData = np.arange(rows * rows, dtype=np.uint16).tobytes()
        image["PixelData"].VR = "OW"
        image.file_meta = FileMetaDataset()
        image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        image.file_meta.MediaStorageSOPClassUID = image.SOPClassUID
        image.file_meta.MediaStorageSOPInstanceUID = image.SOPInstanceUID
        if syntax == RLELossless:
            image.compress(RLELossless)
        image.file_meta.TransferSyntaxUID = syntax
        path = tmp_path / f"{count}.dcm"
        dcmwrite(path, image, enforce_file_format=True)
        return Parcel(path, sop_class, image.SOPInstanceUID, syntax)

    return make_one


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    """Whatever a test starts here has ended when it is over."""
    with ExitStack() as opened:
        yield opened


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@contextmanager
def program(*command: str, port: int) -> Iterator[None]:
    """A DICOM server of somebody else, running and listening."""
    environment = {**os.environ, "TCP_NODELAY": "1"}
    quiet = subprocess.DEVNULL
    with subprocess.Popen([*ENDS_WITH_US, *command], env=environment, stdout=quiet, stderr=quiet) as running:
        try:
            deadline = time.monotonic() + 20
            while not _listens(port):
                assert running.poll() is None, f"{command[0]} ended"
                assert time.monotonic() < deadline, f"{command[0]} does not listen"
                time.sleep(0.02)
            yield
        finally:
            running.kill()


def _listens(port: int) -> bool:
    """Whether a socket of this machine listens on the port, found without disturbing it by a connection."""
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:] + Path("/proc/net/tcp6").read_text().splitlines()[1:]
    return any(one.split()[1].endswith(f":{port:04X}") and one.split()[3] == "0A" for one in lines)


@pytest.fixture
def storescp(tmp_path: Path, stack: ExitStack) -> Callable[..., tuple[Destination, Path]]:
    """DCMTK's storage server with options; gives its destination and its folder."""

    def start(*options: str) -> tuple[Destination, Path]:
        port, folder = free_port(), tmp_path / "pacs"
        folder.mkdir()
        stack.enter_context(program("storescp", "-od", str(folder), *options, str(port), port=port))
        return destination(port), folder

    return start


@contextmanager
def raw_peer(behaviour: Callable[[socket.socket], None]) -> Iterator[Destination]:
    """A peer that does with its first connection whatever the behaviour says, with little room for bytes unread."""
    over = threading.Event()

    def serve() -> None:
        with suppress(OSError, pdu.Malformed):
            connection, _ = listener.accept()
            with connection:
                behaviour(connection)
                over.wait(30)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 << 10)
        listener.settimeout(30)
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield destination(listener.getsockname()[1])
        finally:
            over.set()
            thread.join()


def read_pdu(connection: socket.socket) -> bytes:
    """The next PDU; ConnectionError where the sender left before its end."""
    header = connection.recv(6, socket.MSG_WAITALL)
    if len(header) < 6:
        raise ConnectionError
    length = struct.unpack(">BxI", header)[1]
    body = connection.recv(length, socket.MSG_WAITALL)
    if len(body) < length:
        raise ConnectionError
    return header + body


def accept(connection: socket.socket) -> None:
    """Accept the association with every context it proposes, as pynetdicom encodes it."""
    request = A_ASSOCIATE_RQ()
    request.decode(read_pdu(connection))
    answer = request.to_primitive()
    answer.result, answer.result_source = 0, 1
    for proposed in answer.presentation_context_definition_list:
        accepted = PresentationContext()
        accepted.context_id, accepted.result = proposed.context_id, 0
        accepted.transfer_syntax = proposed.transfer_syntax[:1]
        answer.presentation_context_definition_results_list.append(accepted)
    connection.sendall(A_ASSOCIATE_AC(answer).encode())


def read_message(connection: socket.socket) -> int:
    """Read one C-STORE request to its last fragment; gives its presentation context ID."""
    while True:
        for context_id, control, _ in pdu.read_p_data(read_pdu(connection)[6:]):
            if control == pdu.LAST_BIT:
                return context_id


def timed(peer: Destination, parcels: list[Parcel], already_accepted: tuple[str, ...] = ()) -> tuple[SendReport, float]:
    """The report and how long it took."""
    start = time.monotonic()
    report = DimseSender().send(peer, parcels, already_accepted)
    return report, time.monotonic() - start


def outcomes(report: SendReport) -> list[SendOutcome]:
    return [one.outcome for one in report.objects]


@contextmanager
def answering(*statuses: int, comment: str = "") -> Iterator[tuple[Destination, list[str]]]:
    """A pynetdicom archive that answers one object after the other with these statuses, then with success."""
    received: list[str] = []

    def store(event: evt.Event) -> Dataset:
        received.append(event.request.AffectedSOPInstanceUID)
        answer = Dataset()
        answer.Status = statuses[len(received) - 1] if len(received) <= len(statuses) else 0
        if comment:
            answer.ErrorComment = comment
        return answer

    archive = AE("ARCHIVE")
    for sop_class in (CTImageStorage, SegmentationStorage):
        archive.add_supported_context(sop_class, [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
    server = archive.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, store)])
    try:
        yield destination(server.socket.getsockname()[1]), received
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.real("dcmtk")
def test_a_result_set_arrives_byte_for_byte(
    storescp: Callable[..., tuple[Destination, Path]], make: Callable[..., Parcel]
) -> None:
    """Files are sent as they are stored, whatever their transfer syntax, and none is decoded."""
    syntaxes = [ExplicitVRLittleEndian, ImplicitVRLittleEndian, RLELossless, DeflatedExplicitVRLittleEndian]
    peer, folder = storescp("+xa", "+B", "--max-pdu", "4096")
    parcels = [make(syntax) for syntax in syntaxes]
    report, _ = timed(peer, parcels)
    assert (report.outcome, report.text) == (ACCEPTED, "4 of 4 objects accepted")
    arrived = {one.SOPInstanceUID: (one, path) for path in folder.iterdir() for one in [dcmread(path)]}
    for parcel in parcels:
        received, path = arrived[parcel.sop_instance_uid]
        assert received.file_meta.TransferSyntaxUID == parcel.transfer_syntax_uid
        assert received == dcmread(parcel.path)
        data_set = parcel.path.read_bytes()[-200:]
        assert path.read_bytes().endswith(data_set)


@pytest.mark.real("dcmtk")
def test_a_peer_that_knows_only_implicit_gets_a_reencoded_copy(
    storescp: Callable[..., tuple[Destination, Path]], make: Callable[..., Parcel]
) -> None:
    """Uncompressed objects are re-encoded with every value and pixel as it was; compressed ones are parked."""
    peer, folder = storescp("--implicit")
    parcels = [make(ExplicitVRLittleEndian), make(DeflatedExplicitVRLittleEndian), make(RLELossless)]
    report, _ = timed(peer, parcels)
    assert outcomes(report) == [ACCEPTED, ACCEPTED, PARKED]
    assert "the PACS does not accept this kind of object (it does not know this transfer syntax)" in report.text
    arrived = {one.SOPInstanceUID: one for one in map(dcmread, folder.iterdir())}
    assert len(arrived) == 2
    for parcel in parcels[:2]:
        received, sent = arrived[parcel.sop_instance_uid], dcmread(parcel.path)
        assert received.file_meta.TransferSyntaxUID == ImplicitVRLittleEndian
        assert received.PixelData == sent.PixelData
        assert {one.tag: one.value for one in received} == {one.tag: one.value for one in sent}


@pytest.mark.real("dcmtk")
def test_only_the_syntaxes_that_are_set_are_used(
    storescp: Callable[..., tuple[Destination, Path]], make: Callable[..., Parcel]
) -> None:
    """Though the archive takes the file's own too."""
    peer, folder = storescp()
    report, _ = timed(replace(peer, syntaxes=(str(ImplicitVRLittleEndian),)), [make(ExplicitVRLittleEndian)])

    (arrived,) = folder.iterdir()
    assert outcomes(report) == [ACCEPTED]
    assert dcmread(arrived).file_meta.TransferSyntaxUID == ImplicitVRLittleEndian


@pytest.mark.real("dcmtk")
def test_big_endian_is_never_reencoded(
    storescp: Callable[..., tuple[Destination, Path]], make: Callable[..., Parcel]
) -> None:
    """Its pixels would arrive with their bytes swapped."""
    peer, _ = storescp("--implicit")
    report, _ = timed(peer, [make(ExplicitVRBigEndian)])
    assert outcomes(report) == [PARKED]


@pytest.mark.real("dcmtk")
@pytest.mark.parametrize(
    ("options", "outcome", "words"),
    [
        (["--refuse"], PARKED, "whether it knows our AE title ISOCENTER"),
        (["--abort-after"], LATER, "broke the association off"),
        (["--abort-during"], LATER, "broke the association off"),
        (["--sleep-during", "20"], LATER, "did not answer within 1 s"),
        (["--sleep-after", "20"], LATER, "did not answer within 1 s"),
    ],
    ids=lambda value: value[0].strip("-") if isinstance(value, list) else "",
)
def test_a_misbehaving_archive_is_given_up(
    storescp: Callable[..., tuple[Destination, Path]],
    make: Callable[..., Parcel],
    options: list[str],
    outcome: SendOutcome,
    words: str,
) -> None:
    """In bounded time, with words for a person, and an outcome for each object."""
    peer, _ = storescp(*options)
    report, took_s = timed(peer, [make(), make()])
    assert report.outcome is outcome
    assert words in report.text
    assert took_s < GIVEN_UP_WITHIN_S


@pytest.mark.real("dcmtk")
def test_an_archive_that_ignores_data_still_answers(
    storescp: Callable[..., tuple[Destination, Path]], make: Callable[..., Parcel]
) -> None:
    """What it says is all that can be known here: proof of arrival is another step."""
    peer, _ = storescp("--ignore")
    assert timed(peer, [make()])[0].outcome is ACCEPTED


@pytest.mark.real("dcmtk")
def test_our_request_names_its_implementation(
    storescp: Callable[..., tuple[Destination, Path]], make: Callable[..., Parcel]
) -> None:
    """An archive that rejects callers without an implementation class UID takes us."""
    peer, _ = storescp("--reject")
    assert timed(peer, [make()])[0].outcome is ACCEPTED


@pytest.mark.parametrize(
    ("status", "outcome", "warning"),
    [
        (0x0000, ACCEPTED, False),
        (0xB000, ACCEPTED, True),
        (0xB006, ACCEPTED, True),
        (0xB007, ACCEPTED, True),
        (0x0111, ACCEPTED, False),
        (0xA700, LATER, False),
        (0x0110, LATER, False),
        (0xFE00, LATER, False),
        (0xA900, PARKED, False),
        (0xC000, PARKED, False),
        (0x0122, PARKED, False),
        (0x0001, PARKED, False),
    ],
    ids=lambda value: f"{value:04X}" if type(value) is int else "",
)
def test_a_status_decides_about_its_object_alone(
    make: Callable[..., Parcel], status: int, outcome: SendOutcome, *, warning: bool
) -> None:
    """The others of the set are sent and accepted all the same; warnings are shown on a SEG."""
    with answering(0, status, comment="said the archive") as (peer, received):
        parcels = [make(), make(sop_class=SegmentationStorage), make()]
        report, _ = timed(peer, parcels)
    assert received == [one.sop_instance_uid for one in parcels]
    assert outcomes(report) == [ACCEPTED, outcome, ACCEPTED]
    second = report.objects[1]
    assert (second.sop_instance_uid, second.status) == (parcels[1].sop_instance_uid, status)
    assert (second.warning is not None) == warning
    assert second.text.startswith("Segmentation Storage: ")
    assert second.comment == "said the archive"


def test_a_coerced_summary_image_carries_no_warning(make: Callable[..., Parcel]) -> None:
    """Warnings are for those who read a SEG or SR."""
    with answering(0xB000) as (peer, _):
        (only,) = timed(peer, [make()])[0].objects
    assert (only.outcome, only.warning) == (ACCEPTED, None)


def test_what_was_accepted_is_not_sent_again(make: Callable[..., Parcel]) -> None:
    """The report still names every object of the set."""
    with answering() as (peer, received):
        parcels = [make(), make(), make()]
        report, _ = timed(peer, parcels, (parcels[1].sop_instance_uid,))
    assert received == [parcels[0].sop_instance_uid, parcels[2].sop_instance_uid]
    assert [one.sop_instance_uid for one in report.objects] == [one.sop_instance_uid for one in parcels]
    assert report.outcome is ACCEPTED


def test_nothing_left_to_send_needs_no_association(make: Callable[..., Parcel]) -> None:
    """A destination that is down cannot hold up a delivery that is complete."""
    parcel = make()
    assert timed(destination(free_port()), [parcel], (parcel.sop_instance_uid,))[0].outcome is ACCEPTED


def test_a_class_the_peer_does_not_take_is_parked_and_the_rest_sent(make: Callable[..., Parcel]) -> None:
    """The words name the kind of object, also where the library has never heard of its class."""
    with answering() as (peer, received):
        parcels = [make(sop_class=LABEL_MAP_SEGMENTATION), make()]
        report, _ = timed(peer, parcels)
    assert outcomes(report) == [PARKED, ACCEPTED]
    assert received == [parcels[1].sop_instance_uid]
    assert "Label Map Segmentation Storage: the PACS does not accept this kind of object" in report.text


def test_a_file_that_is_gone_is_parked_and_the_rest_sent(make: Callable[..., Parcel]) -> None:
    """Nor is a file sent under the identity of another."""
    gone, swapped, sound = make(), make(), make()
    gone.path.unlink()
    swapped.path.write_bytes(sound.path.read_bytes())
    with answering() as (peer, received):
        report, _ = timed(peer, [gone, swapped, sound])
    assert outcomes(report) == [PARKED, PARKED, ACCEPTED]
    assert received == [sound.sop_instance_uid]


def silent(connection: socket.socket) -> None:
    """Takes the connection and says nothing."""


def deaf(connection: socket.socket) -> None:
    """Accepts the association and never reads again."""
    accept(connection)


def mute(connection: socket.socket) -> None:
    """Reads the object and never answers."""
    accept(connection)
    read_message(connection)


def dribbling(connection: socket.socket) -> None:
    """Reads the object and answers a byte at a time, so that no single read ever waits long."""
    mute(connection)
    for byte in pdu.p_data(1, 3, bytes(200)):
        connection.send(bytes([byte]))
        time.sleep(0.2)


def resetting(connection: socket.socket) -> None:
    """Resets the connection in the middle of its answer."""
    mute(connection)
    connection.sendall(b"\4\0\0\0\0\x60\0")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def babbling(connection: socket.socket) -> None:
    """Speaks HTTP."""
    connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")


def endless(connection: socket.socket) -> None:
    """Announces a PDU of 4 GiB."""
    connection.sendall(b"\2\0\xff\xff\xff\xff")


def without_status(connection: socket.socket) -> None:
    """Answers, but does not say how it went."""
    accept(connection)
    answer = pdu.command_set({pdu.Tag.COMMAND_FIELD: 0x8001, pdu.Tag.MESSAGE_ID_BEING_RESPONDED_TO: 1})
    connection.sendall(pdu.p_data(read_message(connection), 3, answer))


def answering_another(connection: socket.socket) -> None:
    """Says success to a message that was never sent."""
    accept(connection)
    answer = pdu.command_set({pdu.Tag.MESSAGE_ID_BEING_RESPONDED_TO: 9, pdu.Tag.STATUS: 0})
    connection.sendall(pdu.p_data(read_message(connection), 3, answer))


def answering_on_another_context(connection: socket.socket) -> None:
    """Says success on a presentation context that was never asked for."""
    accept(connection)
    answer = pdu.command_set({pdu.Tag.MESSAGE_ID_BEING_RESPONDED_TO: 1, pdu.Tag.STATUS: 0})
    connection.sendall(pdu.p_data(read_message(connection) + 2, 3, answer))


def breaking_off(connection: socket.socket) -> None:
    """Aborts with its reason while the object is still being sent, and resets the connection by closing it unread."""
    accept(connection)
    read_pdu(connection)
    connection.sendall(b"\7\0\0\0\0\4\0\0\2\6")
    connection.close()


def leaving(connection: socket.socket) -> None:
    """Releases the association instead of an answer."""
    mute(connection)
    connection.sendall(pdu.RELEASE_REQUEST)


def congested(connection: socket.socket) -> None:
    """Rejects for the moment: local limit exceeded."""
    read_pdu(connection)
    connection.sendall(b"\3\0\0\0\0\4\0\2\3\2")


def unacquainted(connection: socket.socket) -> None:
    """Rejects for good: calling AE title not recognised."""
    read_pdu(connection)
    connection.sendall(b"\3\0\0\0\0\4\0\1\1\3")


@pytest.mark.parametrize(
    ("behaviour", "outcome", "words"),
    [
        (silent, LATER, "did not answer the association request within 1 s"),
        (deaf, LATER, "read nothing for 1 s"),
        (mute, LATER, "took the object but did not answer within 1 s"),
        (dribbling, LATER, "took the object but did not answer within 1 s"),
        (resetting, LATER, "closed the connection without a word"),
        (babbling, LATER, "is not DICOM"),
        (endless, LATER, "is not DICOM"),
        (without_status, LATER, "answered without a status"),
        (answering_another, LATER, "answered another message than ours"),
        (answering_on_another_context, LATER, "is not as DICOM has it"),
        (breaking_off, LATER, "broke the association off: it took a parameter of a PDU for invalid"),
        (leaving, LATER, "ended the association before all was sent"),
        (congested, LATER, "has no association left to give"),
        (unacquainted, PARKED, "does not know our AE title ISOCENTER: add it there, with this node's address"),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_a_hostile_peer_is_given_up(
    make: Callable[..., Parcel], behaviour: Callable[[socket.socket], None], outcome: SendOutcome, words: str
) -> None:
    """Whatever it does or leaves undone, both objects have an outcome in bounded time and no thread is left."""
    with raw_peer(behaviour) as peer:
        threads = threading.active_count()
        report, took_s = timed(peer, [make(rows=1024), make(rows=1024)])
        assert threading.active_count() == threads
    assert outcomes(report) == [outcome, outcome]
    assert words in report.text
    assert took_s < GIVEN_UP_WITHIN_S


def test_what_was_answered_before_the_loss_stays_accepted(make: Callable[..., Parcel]) -> None:
    """Only the object that was not answered and those behind it are sent again."""

    def dies_at_the_second(connection: socket.socket) -> None:
        accept(connection)
        connection.sendall(pdu.p_data(read_message(connection), 3, SUCCESS))
        read_message(connection)
        connection.sendall(b"\7\0\0\0\0\4\0\0\2\0")

    with raw_peer(dies_at_the_second) as peer:
        report, _ = timed(peer, [make(), make(), make()])
    assert outcomes(report) == [ACCEPTED, LATER, LATER]
    assert "the PACS broke the association off: no reason given" in report.text


def test_a_release_that_is_never_answered_takes_nothing_back(make: Callable[..., Parcel]) -> None:
    """Every object was answered by then."""

    def stays(connection: socket.socket) -> None:
        accept(connection)
        connection.sendall(pdu.p_data(read_message(connection), 3, SUCCESS))

    with raw_peer(stays) as peer:
        report, took_s = timed(peer, [make()])
    assert report.outcome is ACCEPTED
    assert took_s < GIVEN_UP_WITHIN_S


def slow(connection: socket.socket, pause_s: float) -> None:
    """Pauses after each PDU it reads, then answers with success."""
    accept(connection)
    last = False
    while not last:
        time.sleep(pause_s)
        last = any(control == pdu.LAST_BIT for _, control, _ in pdu.read_p_data(read_pdu(connection)[6:]))
    connection.sendall(pdu.p_data(1, 3, SUCCESS))


def test_time_spent_sending_is_not_time_spent_waiting(make: Callable[..., Parcel]) -> None:
    """A slow link that moves is let go on for longer than an answer may take."""
    with raw_peer(lambda connection: slow(connection, 0.002)) as peer:
        report, took_s = timed(replace(peer, response_timeout_s=0.5, stall_timeout_s=10), [make(rows=2048)])
    assert report.outcome is ACCEPTED, report.text
    assert took_s > 0.5


def test_a_link_that_barely_moves_is_given_up(make: Callable[..., Parcel], monkeypatch: pytest.MonkeyPatch) -> None:
    """Taking a little now and then does not buy time without end."""
    monkeypatch.setattr(association, "SLOWEST_LINK_BYTES_PER_S", 2 << 20)
    with raw_peer(lambda connection: slow(connection, 0.1)) as peer:
        report, took_s = timed(peer, [make(rows=1024)])
    assert report.outcome is LATER
    assert "far too slowly" in report.text
    assert took_s < GIVEN_UP_WITHIN_S


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "Nothing listens at 127.0.0.1"),
        ({"host": "no-such-host.invalid"}, "The host name no-such-host.invalid is not known"),
    ],
    ids=["refused", "unknown-host"],
)
def test_a_peer_that_cannot_be_found_is_later(make: Callable[..., Parcel], changes: dict[str, Any], words: str) -> None:
    """It may be down for the night."""
    report, _ = timed(destination(free_port(), **changes), [make()])
    assert report.outcome is LATER
    assert words in report.text


def test_a_peer_whose_queue_is_full_is_later(make: Callable[..., Parcel], stack: ExitStack) -> None:
    """A connection that is never taken ends by its own timeout, as behind a firewall that drops."""
    listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
    port = listener.getsockname()[1]
    for _ in range(2):
        filler = stack.enter_context(socket.socket())
        filler.setblocking(False)
        filler.connect_ex(("127.0.0.1", port))
    report, took_s = timed(destination(port), [make()])
    assert report.outcome is LATER
    assert f"127.0.0.1:{port} did not answer within 1 s" in report.text
    assert took_s < GIVEN_UP_WITHIN_S


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    """A key and a certificate for localhost that only itself vouches for."""
    key, own = tmp_path / "key.pem", tmp_path / "certificate.pem"
    name = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *name]
    subprocess.run([*made, "-keyout", str(key), "-out", str(own)], check=True, capture_output=True)
    return key, own


@pytest.mark.real("dcmtk")
def test_results_travel_through_tls(
    storescp: Callable[..., tuple[Destination, Path]], make: Callable[..., Parcel], certificate: tuple[Path, Path]
) -> None:
    """With the certificate that is trusted, and with no other."""
    key, own = certificate
    peer, folder = storescp("+tls", str(key), str(own), "--ignore-peer-cert")
    trusting = replace(peer, tls=ssl.create_default_context(cafile=str(own)))
    assert timed(trusting, [make(rows=512)])[0].outcome is ACCEPTED
    assert len(list(folder.iterdir())) == 1
    report, _ = timed(replace(peer, tls=ssl.create_default_context()), [make()])
    assert report.outcome is LATER
    assert "TLS with the PACS failed" in report.text


@pytest.mark.real("dcmtk")
def test_tls_with_a_peer_without_tls_says_so(
    storescp: Callable[..., tuple[Destination, Path]], make: Callable[..., Parcel]
) -> None:
    """The most common mistake in setting TLS up."""
    peer, _ = storescp()
    report, took_s = timed(replace(peer, tls=ssl.create_default_context()), [make()])
    assert report.outcome is LATER
    assert "TLS with the PACS failed" in report.text
    assert took_s < GIVEN_UP_WITHIN_S


@pytest.mark.real("dcmtk")
def test_echo_and_probe(storescp: Callable[..., tuple[Destination, Path]]) -> None:
    """An operator sees whether a peer answers, and what it would take."""
    peer, _ = storescp("--implicit")
    assert DimseSender().echo(peer).ok
    report = DimseSender().probe(peer, [CTImageStorage, "1.2.3.4"])
    assert report.accepted == ((CTImageStorage, (ImplicitVRLittleEndian,)), ("1.2.3.4", ()))


def test_an_echo_that_fails_says_what_to_mend() -> None:
    """In the words of the same tables."""
    with raw_peer(unacquainted) as peer:
        report = DimseSender().echo(peer)
    assert (report.ok, report.text) == (
        False,
        "the PACS does not know our AE title ISOCENTER: add it there, with this node's address.",
    )
    with answering() as (peer, _):
        assert DimseSender().echo(peer).text == "the PACS takes our associations, but not C-ECHO."


@pytest.fixture
def orthanc(tmp_path: Path, stack: ExitStack) -> Callable[..., tuple[Destination, str]]:
    """An Orthanc that lets nobody store but whom its configuration names."""

    def start(**settings: Any) -> tuple[Destination, str]:
        dicom, http = free_port(), free_port()
        folder = tmp_path / "orthanc"
        configuration = tmp_path / "orthanc.json"
        always = {
            "StorageDirectory": str(folder),
            "DicomAet": "ARCHIVE",
            "DicomPort": dicom,
            "HttpPort": http,
            "DicomCheckCalledAet": True,
            "AuthenticationEnabled": False,
            "Plugins": [],
        }
        configuration.write_text(json.dumps({**always, **settings}))
        stack.enter_context(program("Orthanc", str(configuration), port=dicom))
        return destination(dicom, response_timeout_s=20.0), f"http://127.0.0.1:{http}"

    return start


def fetched(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310
        return bytes(answer.read())


@pytest.mark.real("orthanc")
def test_orthanc_keeps_what_was_sent(
    orthanc: Callable[..., tuple[Destination, str]], make: Callable[..., Parcel]
) -> None:
    """Sent once or twice, it holds one copy of each object with its pixels."""
    peer, url = orthanc(DicomAlwaysAllowStore=True)
    parcels = [make(), make(RLELossless), make(sop_class=SegmentationStorage)]
    assert DimseSender().echo(peer).ok
    assert [timed(peer, parcels)[0].outcome for _ in range(2)] == [ACCEPTED, ACCEPTED]
    kept = json.loads(fetched(f"{url}/instances"))
    assert len(kept) == len(parcels)
    sent = {one.sop_instance_uid: dcmread(one.path).PixelData for one in parcels}
    for name in kept:
        path = make().path
        path.write_bytes(fetched(f"{url}/instances/{name}/file"))
        received = dcmread(path)
        assert received.PixelData == sent[received.SOPInstanceUID]


@pytest.mark.real("orthanc")
def test_orthanc_that_does_not_know_us_parks_the_delivery(
    orthanc: Callable[..., tuple[Destination, str]], make: Callable[..., Parcel]
) -> None:
    """The words say which title is wrong on which side."""
    peer, _ = orthanc()
    report, _ = timed(replace(peer, ae_title="WRONG"), [make()])
    assert report.outcome is PARKED
    assert "the PACS is not called WRONG: correct its AE title here, or add that title there." in report.text
