"""Tells who came: each association from its request to its end."""

import re
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import structlog

from node.core.admission import Caller
from node.intake.advice import ADVICE, Cause
from node.state.associations import AssociationOutcome, AssociationRecord, Associations, Receiver

log = structlog.get_logger()

TOLD_EVERY_S = 1.0
"""How often a storing association is told anew at most."""
REJECTION_TOLD_EVERY_S = 60.0
REJECTIONS_TOLD = 1000
"""A caller that is turned away usually comes again and again; nobody may fill the disk by asking."""
TOLD_AGAIN_S = 5.0
UNTOLD = 1000
"""Of so many records at most, what could not be written is kept; of others the log alone tells."""
TEXT_LENGTH = 64


_NUMBERS = re.compile("[0-9]+")
"""In a reason they change from one try to the next, as free room does."""


def told(text: str) -> str:
    """Text from the network as logs and lists may show it: cut, control and foreign characters escaped."""
    return ascii(text[:TEXT_LENGTH])[1:-1]


class Entry:
    """One association in the journal."""

    def __init__(self, journal: "Journal", record: AssociationRecord) -> None:
        self._journal = journal
        self._record = record
        self._told_at = time.monotonic()
        self._stored = self._stored_bytes = 0
        self._study_uid: str | None = None
        self._last_at: datetime | None = None
        self._why = self._refusal = ""
        self._lock = threading.Lock()
        journal.tell(record)

    @property
    def record(self) -> AssociationRecord:
        """As it was told last: what was stored since then is not in it."""
        return self._record

    def stored(self, study_uid: str, size_bytes: int) -> None:
        """An instance was acknowledged."""
        with self._lock:
            elsewhere = study_uid != self._study_uid
            self._stored += 1
            self._stored_bytes += size_bytes
            self._study_uid, self._last_at = study_uid, self._journal.now()
            if elsewhere or time.monotonic() - self._told_at >= TOLD_EVERY_S:
                self._told_at = time.monotonic()
                self._count()
                self._journal.tell(self._record)

    def refused(self, why: str = "") -> None:
        """An instance was answered with an error; why: with which, and what to do. The first one is told."""
        with self._lock:
            self._refusal = self._refusal or why
            self._record = replace(self._record, refused=self._record.refused + 1)

    def remark(self, why: str) -> None:
        """Why the association is about to end; the first remark counts."""
        self._why = self._why or why

    def end(self, outcome: AssociationOutcome) -> None:
        """The association is over; the first end counts."""
        with self._lock:
            if not self._record.is_open:
                return
            why = self._why or (ADVICE[Cause.CLOSED] if outcome is AssociationOutcome.ABORTED else "")
            why = "; ".join(filter(None, (why, self._refused_in_words())))
            self._count()
            self._record = replace(self._record, outcome=outcome, why=why, ended_at=self._journal.now())
            self._journal.tell(self._record)
        log.info(
            "association-ended",
            association=self._record.id,
            outcome=outcome.value,
            stored=self._record.stored,
            refused=self._record.refused,
            why=why,
        )

    def _count(self) -> None:
        """Bring the record up to date. A record for every instance would be a twentieth of the receiver's Python."""
        self._record = replace(
            self._record,
            stored=self._stored,
            stored_bytes=self._stored_bytes,
            study_uid=self._study_uid,
            last_at=self._last_at,
        )

    def _refused_in_words(self) -> str:
        if not self._refusal:
            return ""
        if self._record.refused == 1:
            return f"1 instance was refused, with {self._refusal}"
        return f"{self._record.refused} instances were refused, the first with {self._refusal}"


class Journal:
    """The journal of one receiver. It never stands in the way: where it cannot be written, the log says so, and it is
    written once it can be."""

    def __init__(self, home: Path, now: Callable[[], datetime]) -> None:
        self.now = now
        self._receiver: Receiver = Associations(home).serve()
        self._rejected: dict[tuple[Caller, str], float] = {}
        self._untold: dict[str, AssociationRecord] = {}
        self._lock = threading.Lock()

    def opened(self, caller: Caller, peer: str | None) -> Entry:
        """An association was accepted."""
        record = self._record(f"a{secrets.token_hex(5)}", caller, peer)
        log.info("association-opened", association=record.id, **_names(caller), peer=peer)
        return Entry(self, record)

    def rejected(self, caller: Caller, why: str, outcome: AssociationOutcome = AssociationOutcome.REJECTED) -> None:
        """No association came about. Told once a minute for each caller and reason, and within a bound for all; the
        log has no more, since a caller that knocks all day would fill the disk with it."""
        if not self._may_tell(Caller(caller.calling_ae, caller.called_ae, caller.address), _NUMBERS.sub("", why)):
            return
        log.warning("association-refused", **_names(caller), outcome=outcome.value, why=why)
        record = self._record(f"r{secrets.token_hex(5)}", caller, None)
        self.tell(replace(record, outcome=outcome, why=why, ended_at=record.started_at))

    def tell(self, record: AssociationRecord) -> None:
        """Write a record for the other processes, in place of an older one of the same association."""
        with self._lock:
            self._untold.pop(record.id, None)
        if self._write(record):
            return
        with self._lock:
            is_first = not self._untold
            if len(self._untold) < UNTOLD:
                self._untold[record.id] = record
        if is_first:
            self._tell_later()

    def _write(self, record: AssociationRecord) -> bool:
        try:
            self._receiver.write(record)
        except OSError as error:
            log.warning("association-not-told", association=record.id, why=error.strerror)
            return False
        return True

    def _tell_later(self) -> None:
        timer = threading.Timer(TOLD_AGAIN_S, self._tell_again)
        timer.daemon = True
        timer.start()

    def _tell_again(self) -> None:
        with self._lock:  # nothing newer of the same association is written meanwhile
            for record in list(self._untold.values()):
                if not self._write(record):
                    break
                del self._untold[record.id]
            is_left = bool(self._untold)
        if is_left:
            self._tell_later()

    def close(self) -> None:
        """The receiver ends; what was not told by now is told as lost."""
        with self._lock:
            self._untold.clear()
        self._receiver.close()

    def _record(self, key: str, caller: Caller, peer: str | None) -> AssociationRecord:
        return AssociationRecord(
            id=key,
            receiver=self._receiver.name,
            calling_ae=told(caller.calling_ae),
            called_ae=told(caller.called_ae),
            address=told(caller.address),
            peer=peer,
            started_at=self.now(),
        )

    def _may_tell(self, caller: Caller, why: str) -> bool:
        one, now = (caller, why), time.monotonic()
        with self._lock:
            recent = {key: at for key, at in self._rejected.items() if now - at < REJECTION_TOLD_EVERY_S}
            may = one not in recent and len(recent) < REJECTIONS_TOLD
            self._rejected = {**recent, one: now} if may else recent
            return may


def _names(caller: Caller) -> dict[str, str]:
    return {
        "calling_ae": told(caller.calling_ae),
        "called_ae": told(caller.called_ae),
        "address": told(caller.address),
    }
