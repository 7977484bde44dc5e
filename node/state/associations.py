"""Small files that tell every process which associations are open, and how the others ended."""

import fcntl
import os
import secrets
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum
from pathlib import Path

from pydantic import TypeAdapter, ValidationError


class AssociationOutcome(str, Enum):
    """How an association stands or ended."""

    OPEN = "open"
    RELEASED = "released"
    ABORTED = "aborted"
    REJECTED = "rejected"
    LOST = "lost"
    """Its receiver died."""


@dataclass(frozen=True)
class AssociationRecord:
    """An association as its receiver last told it.

    receiver: mark of the process that serves it. peer: name in peers.toml, None for a caller that is not listed.
    stored, refused: instances acknowledged and not. study_uid, last_at: the study brought last, and when.
    """

    id: str
    receiver: str
    calling_ae: str
    called_ae: str
    address: str
    peer: str | None
    started_at: datetime
    outcome: AssociationOutcome = AssociationOutcome.OPEN
    why: str = ""
    ended_at: datetime | None = None
    stored: int = 0
    refused: int = 0
    stored_bytes: int = 0
    study_uid: str | None = None
    last_at: datetime | None = None

    @property
    def is_open(self) -> bool:
        return self.outcome is AssociationOutcome.OPEN


_RECORD = TypeAdapter(AssociationRecord)


class Associations:
    """The folder `associations` of the spool: a receiver writes, everybody reads, the indexer removes what ended.

    They are not synced: a loss of power ends every association, and the instances tell where they came from.
    """

    def __init__(self, home: Path) -> None:
        self._folder = home / "spool" / "associations"
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def serve(self) -> "Receiver":
        """Become a receiver: alive until closed, or until the process dies."""
        self._remove_dead_marks()
        return Receiver(self._folder)

    def records(self) -> list[AssociationRecord]:
        """Every record, oldest first; what a dead receiver left open is told as lost."""
        found = []
        for path in self._folder.glob("*.json"):
            with suppress(FileNotFoundError, ValidationError):  # removed meanwhile; written by another version
                record = _RECORD.validate_json(path.read_bytes())
                if record.is_open and not self._is_alive(record.receiver):
                    record = replace(
                        record,
                        outcome=AssociationOutcome.LOST,
                        why="the receiver died; the sender must send again what was not acknowledged",
                        ended_at=record.last_at or record.started_at,
                    )
                found.append(record)
        return sorted(found, key=lambda record: record.started_at)

    def remove(self, record: AssociationRecord) -> None:
        """Forget a record, once it is kept elsewhere; repeating it is harmless."""
        (self._folder / f"{record.id}.json").unlink(missing_ok=True)

    def _is_alive(self, receiver: str) -> bool:
        """Whether that process holds its mark locked: the kernel lets go when it dies, however it dies."""
        try:
            descriptor = os.open(self._folder / f"{receiver}.alive", os.O_RDONLY)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(descriptor)
        return False

    def _remove_dead_marks(self) -> None:
        for mark in self._folder.glob("*.alive"):
            if not self._is_alive(mark.stem):
                mark.unlink(missing_ok=True)


class Receiver:
    """The writing side: one process that serves associations."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.name = secrets.token_hex(8)
        self._mark = os.open(folder / f"{self.name}.alive", os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        fcntl.flock(self._mark, fcntl.LOCK_EX)

    def write(self, record: AssociationRecord) -> None:
        """Replace what is told of an association; a reader sees the old or the new, never half of either.

        Raises what the operating system says; nothing half-written stays then.
        """
        aside = self._folder / f"{record.id}.part"
        try:
            aside.touch(0o600)
            aside.write_bytes(_RECORD.dump_json(record))
            aside.replace(self._folder / f"{record.id}.json")
        except OSError:
            with suppress(OSError):
                aside.unlink(missing_ok=True)
            raise

    def close(self) -> None:
        """Be alive no more; harmless when done twice."""
        if self._mark >= 0:
            (self._folder / f"{self.name}.alive").unlink(missing_ok=True)
            os.close(self._mark)
            self._mark = -1
