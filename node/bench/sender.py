"""A sender with a journal of its own: what it was told is stored is written down durably before it goes on."""

import hashlib
import json
import os
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from pydicom.dataset import Dataset
from pynetdicom.dsutils import split_dataset

from node.sending.association import Association, AssociationFailed
from node.sending.destination import Destination
from node.sending.pdu import Tag

C_STORE_RQ, MEDIUM_PRIORITY, SUCCESS = 0x0001, 0, 0x0000
PAUSE_S = 0.1
"""Between an association that was lost and the next one."""


@dataclass(frozen=True)
class Acknowledged:
    """An instance that was answered 0000. sha256: of the data set's bytes as they were sent."""

    study_uid: str
    sop_instance_uid: str
    sha256: str


class Journal:
    """A file with one line for each acknowledged instance, on the disk before the next one is sent."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("ab")
        self._lock = threading.Lock()

    def write(self, one: Acknowledged) -> None:
        """Keep a line; when this returns, it survives."""
        with self._lock:
            self._file.write(json.dumps(asdict(one)).encode() + b"\n")
            self._file.flush()
            os.fsync(self._file.fileno())

    def close(self) -> None:
        self._file.close()


def acknowledged(journal: Path) -> list[Acknowledged]:
    """Everything that a journal says was acknowledged, in order."""
    return [Acknowledged(**json.loads(line)) for line in journal.read_text().splitlines()]


class JournalingSender:
    """Sends studies as an honest scanner does: what was not acknowledged is sent again until it is.

    pause_s: between two instances, so that an association lasts.
    """

    def __init__(self, peer: Destination, journal: Journal, stop: threading.Event, pause_s: float = 0.0) -> None:
        self._peer, self._journal, self._stop, self._pause_s = peer, journal, stop, pause_s
        self.is_open = threading.Event()

    def send(self, study_uid: str, paths: Sequence[Path]) -> bool:
        """Send Part 10 files until each is acknowledged; False where it was stopped before."""
        left = list(paths)
        while left and not self._stop.is_set():
            try:
                self._send_over_one_association(study_uid, left)
            except AssociationFailed:
                time.sleep(PAUSE_S)
            finally:
                self.is_open.clear()
        return not left

    def _send_over_one_association(self, study_uid: str, left: list[Path]) -> None:
        """Takes each file off the list once it is in the journal."""
        kinds = list(dict.fromkeys(_kind(split_dataset(path)[0]) for path in left))
        with Association(self._peer, kinds) as association:
            self.is_open.set()
            while left and not self._stop.is_set():
                status, digest, uid = _store(association, left[0])
                if status != SUCCESS:
                    time.sleep(PAUSE_S)
                    return
                self._journal.write(Acknowledged(study_uid, uid, digest))
                left.pop(0)
                time.sleep(self._pause_s)


def data_set_digest(path: Path) -> str:
    """SHA-256 of a Part 10 file's data set, file meta aside."""
    _, offset = split_dataset(path)
    with path.open("rb") as file:
        file.seek(offset)
        return hashlib.file_digest(file, "sha256").hexdigest()


def _kind(meta: Dataset) -> tuple[str, str]:
    return str(meta.MediaStorageSOPClassUID), str(meta.TransferSyntaxUID)


def _store(association: Association, path: Path) -> tuple[int | None, str, str]:
    """One C-STORE: status, digest of what was sent, SOP Instance UID."""
    meta, offset = split_dataset(path)
    uid = str(meta.MediaStorageSOPInstanceUID)
    command: dict[Tag, int | str] = {
        Tag.AFFECTED_SOP_CLASS_UID: str(meta.MediaStorageSOPClassUID),
        Tag.COMMAND_FIELD: C_STORE_RQ,
        Tag.PRIORITY: MEDIUM_PRIORITY,
        Tag.AFFECTED_SOP_INSTANCE_UID: uid,
    }
    with path.open("rb") as file:
        digest = data_set_digest(path)
        file.seek(offset)
        return association.request(association.accepted[_kind(meta)], command, file).status, digest, uid
