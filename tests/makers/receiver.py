"""A receiver at work inside the test's process, and senders that may do anything."""

import os
import socket
import struct
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pydicom
import pytest
from pydicom.dataset import Dataset
from pynetdicom import _config, evt
from pynetdicom.ae import ApplicationEntity
from pynetdicom.association import Association
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.pdu import A_ASSOCIATE_RQ
from pynetdicom.pdu_primitives import P_DATA

from node.intake.library import configure_library
from node.intake.listener import LIMITS, Listener
from node.settings import Configuration
from node.state.associations import AssociationRecord, Associations
from node.state.spool import Spool
from tests.makers.elements import CT_IMAGE, EXPLICIT, IMPLICIT, INSTANCE, element
from tests.makers.part10 import data_set_of

MR_IMAGE = "1.2.840.10008.5.1.4.1.1.4"
VERIFICATION = "1.2.840.10008.1.1"
CONFIGURATION = {
    "settings": {
        "node": {"ae_titles": ["ISOCENTER", "SECOND"]},
        "intake": {"disk_reserve_mb": 1, "refuse_associations_mb": 1, "max_instance_mb": 1},
    },
    "peers": [
        {"name": "ct1", "ae_title": "SENDER", "roles": ["source"], "addresses": ["127.0.0.0/8"]},
        {"name": "strict", "ae_title": "STRICT", "roles": ["source"], "on_conflict": "refuse"},
        {"name": "away", "ae_title": "AWAY", "roles": ["source"], "addresses": ["10.0.0.0/8"]},
        {"name": "pacs", "ae_title": "PACS", "roles": ["destination"], "address": "127.0.0.1", "port": 104},
    ],
}
QUICK = replace(LIMITS, request_timeout_s=1.0, pdu_deadline_s=1.0)


class Door:
    """A receiver at work, and what it kept."""

    def __init__(
        self, home: Path, intake: dict | None = None, configuration: dict | None = None, **changes: object
    ) -> None:
        self.home = home
        Spool(home).open()
        self.socket = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = self.socket.getsockname()[1]
        settings = CONFIGURATION["settings"]
        settings = {**settings, "intake": {**settings["intake"], **(intake or {})}}
        self.configuration = Configuration.model_validate(configuration or {**CONFIGURATION, "settings": settings})
        self.listener = self.listen(**changes)

    def listen(self, **changes: object) -> Listener:
        listener = Listener(self.configuration, self.socket, self.home, lambda: None, replace(QUICK, **changes))
        listener.start()
        return listener

    def files(self) -> list[Path]:
        return sorted((self.home / "spool").rglob("instances/*/*"))

    def data_sets(self) -> list[bytes]:
        return sorted(map(data_set_of, self.files()))

    def ended(self) -> AssociationRecord:
        """The one association there was, once it ended."""
        wait_for(lambda: any(not one.is_open for one in self.records()))
        (record,) = self.records()
        return record

    def records(self) -> list[AssociationRecord]:
        return Associations(self.home).records()


@contextmanager
def opened(
    home: Path, intake: dict | None = None, configuration: dict | None = None, **changes: object
) -> Iterator[Door]:
    """A receiver from entry to exit. intake: changed settings; changes: of its limits."""
    door = Door(home, intake, configuration, **changes)
    try:
        yield door
    finally:
        door.listener.stop()
        door.socket.close()


@pytest.fixture
def door(tmp_path: Path) -> Iterator[Door]:
    with opened(tmp_path / "home") as one:
        yield one


@pytest.fixture(autouse=True)
def process_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a receiver's process, and undone for the other tests; senders send files as they are."""
    monkeypatch.setattr(_config, "VALIDATORS", dict(_config.VALIDATORS))
    for name in ("LOG_HANDLER_LEVEL", "LOG_REQUEST_IDENTIFIERS", "LOG_RESPONSE_IDENTIFIERS"):
        monkeypatch.setattr(_config, name, getattr(_config, name))
    for name in ("reading_validation_mode", "writing_validation_mode"):
        monkeypatch.setattr(pydicom.config.settings, name, getattr(pydicom.config.settings, name))
    configure_library()
    monkeypatch.setattr(_config, "STORE_SEND_CHUNKED_DATASET", True)


def wait_for(condition: Callable[[], bool], timeout_s: float = 20.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


@contextmanager
def association(
    door: Door, contexts: dict[str, list[str]] | None = None, *, calling: str = "SENDER", called: str = "ISOCENTER"
) -> Iterator[Association]:
    entity = ApplicationEntity(calling)
    for abstract, syntaxes in (contexts or {CT_IMAGE: [EXPLICIT]}).items():
        entity.add_requested_context(abstract, syntaxes)
    connections: list[socket.socket] = []
    keep = (evt.EVT_CONN_OPEN, lambda event: connections.append(event.assoc.dul.socket.socket))
    sender = entity.associate("127.0.0.1", door.port, ae_title=called, evt_handlers=[keep])
    try:
        yield sender
    finally:
        if sender.is_established:
            sender.release()
        for connection in connections:  # the library does not close what the other side closed first
            connection.close()


def run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "TCP_NODELAY": "1"}  # DCMTK waits 40 ms for every message on loopback without it
    return subprocess.run(
        command, capture_output=True, text=True, env=environment, timeout=60, stdin=subprocess.DEVNULL
    )


def code(status: Dataset) -> int:
    return int(status.Status)


def closed(connection: socket.socket) -> bool:
    """Whether the other side ended the connection; waits for the socket's own time-out."""
    try:
        return connection.recv(100)[:1] in (b"", b"\x07")
    except TimeoutError:
        return False
    except ConnectionError:
        return True


def request_bytes(sender: Association) -> bytes:
    pdu = A_ASSOCIATE_RQ()
    pdu.from_primitive(sender.requestor.primitive)
    return pdu.encode()


def command(*, sop_class: str = CT_IMAGE, instance: str = INSTANCE, lacking: int = 0) -> bytes:
    """A C-STORE-RQ (PS3.7 table 9.3-1), perhaps without one of its elements."""
    elements = {
        0x00000002: element(0x00000002, "UI", sop_class + "\0" * (len(sop_class) % 2), IMPLICIT),
        0x00000100: element(0x00000100, "US", b"\1\0", IMPLICIT),
        0x00000110: element(0x00000110, "US", b"\1\0", IMPLICIT),
        0x00000700: element(0x00000700, "US", b"\0\0", IMPLICIT),
        0x00000800: element(0x00000800, "US", b"\0\0", IMPLICIT),
        0x00001000: element(0x00001000, "UI", instance + "\0" * (len(instance) % 2), IMPLICIT),
    }
    group = b"".join(content for tag, content in elements.items() if tag != lacking)
    return element(0x00000000, "UL", struct.pack("<I", len(group)), IMPLICIT) + group


def send_value(sender: Association, context: int, value: bytes) -> None:
    primitive = P_DATA()
    primitive.presentation_data_value_list = [[context, value]]
    sender.dul.send_pdu(primitive)


def send(sender: Association, context: int, command: bytes, data_set: bytes, data_context: int | None = None) -> None:
    """Command and data set as they are."""
    send_value(sender, context, b"\x03" + command)
    send_value(sender, data_context or context, b"\x02" + data_set)


def answer_to(sender: Association, context: int, command: bytes, data_set: bytes) -> C_STORE:
    """The same, and its answer; meanwhile the library's own loop must not take it."""
    sender._reactor_checkpoint.clear()
    wait_for(lambda: sender._is_paused)
    send(sender, context, command, data_set)
    _, answer = sender.dimse.get_msg(block=True)
    sender._reactor_checkpoint.set()
    return answer
