"""Takes instances that come by STOW-RS through the same door as from associations, with the same answers."""

import struct
from collections.abc import Callable
from datetime import datetime
from hmac import compare_digest
from io import BytesIO
from pathlib import Path

import structlog

from node.core.admission import Caller, may_call_from
from node.core.stow import End, Stored
from node.errors import Busy, IntakeError, NotSupported, SpoolFull, Unreadable
from node.intake.advice import ADVICE, Cause
from node.intake.door import Door, Offer, Passage
from node.intake.importing import (
    MAX_META_BYTES,
    MEDIA_STORAGE_SOP_CLASS_UID,
    MEDIA_STORAGE_SOP_INSTANCE_UID,
    TRANSFER_SYNTAX_UID,
    read_meta,
)
from node.intake.journal import Entry, Journal
from node.intake.negotiation import STORAGE_CLASSES, TRANSFER_SYNTAXES
from node.intake.status import answer_to
from node.settings import Configuration, Peer
from node.state.associations import AssociationOutcome
from node.state.seats import Full, Seats
from node.state.spool import Origin

log = structlog.get_logger()

HEAD_BYTES = 144
"""Preamble, prefix, and the element that says how long the rest of the file meta information is (PS3.10 7.1)."""
ELEMENT_BYTES = 8
"""So long the head of an element is at least: where the data set begins, the file meta information has ended."""


class StowDoor:
    """Who may store by STOW-RS: each peer that has a token, from where it may call."""

    def __init__(
        self,
        configuration: Configuration,
        door: Door,
        journal: Journal,
        seats: Seats,
        now: Callable[[], datetime],
    ) -> None:
        self._peers = [peer for peer in configuration.peers if peer.token_file and "source" in peer.roles]
        self._ours = configuration.settings.node.ae_titles[0]
        self._refuse_below_mb = configuration.settings.intake.refuse_associations_mb
        self._door, self._journal, self._seats, self._now = door, journal, seats, now

    def open(self, token: str, address: str, study_uid: str = "") -> "StowRequest | None":
        """A request of the peer whose token that is; None where there is none. study_uid: the only study it may bring.

        Use it from one thread at a time, and close it. Raises SpoolFull below the mark for new associations,
        NodeDraining while the node is being stopped, Busy where all places for associations are taken.
        """
        self._door.check_draining()
        if self._door.free_mb() < self._refuse_below_mb:
            raise SpoolFull("less than intake.refuse_associations_mb is left: make room for the node")
        peer = next(
            (one for one in self._peers if _has_token(one, token) and may_call_from(one.addresses, address)), None
        )
        if peer is None:
            self._journal.rejected(
                Caller("", self._ours, address),
                "a STOW-RS request came without a token of a peer that may call from there: correct the token in the "
                "sender, or token_file and addresses of the peer in peers.toml",
            )
            return None
        caller = Caller(peer.ae_title, self._ours, address)
        seat = self._seats.associate(address)
        if isinstance(seat, Full):
            self._journal.rejected(caller, seat.value)
            raise Busy(seat.value)
        entry = self._journal.opened(caller, peer.name)
        return StowRequest(self._door, peer, entry, self._now, study_uid, lambda: self._seats.leave(seat))


class StowRequest:
    """The instances of one request, one after another: begin, write as often as bytes come, end.

    leave: gives its place back.
    """

    def __init__(
        self,
        door: Door,
        peer: Peer,
        entry: Entry,
        now: Callable[[], datetime],
        study_uid: str,
        leave: Callable[[], None],
    ) -> None:
        self._door, self._peer, self._entry, self._now, self._study_uid = door, peer, entry, now, study_uid
        self._leave = leave
        self._head = bytearray()
        self._passage: Passage | None = None
        self._failure = 0
        self._uids = ("", "")
        self.stored: list[Stored] = []

    def begin(self) -> None:
        """The next instance comes, as a Part 10 file."""
        self._close_passage()
        self._head.clear()
        self._failure, self._uids = 0, ("", "")

    def write(self, chunk: bytes) -> None:
        """Its next bytes. What goes wrong is told at its end."""
        if self._failure:
            return
        try:
            if self._passage is not None:
                self._passage.write(chunk)
                return
            self._head += chunk
            if (whole := _meta_bytes(self._head)) and len(self._head) >= whole + ELEMENT_BYTES:
                self._passage = self._enter()
                self._passage.write(bytes(self._head[whole:]))
                self._head.clear()
        except IntakeError as error:
            self._fail(error)

    def end(self) -> None:
        """Its last byte has come; where it is taken, it is durable when this returns."""
        try:
            if not self._failure:
                if self._passage is None:
                    raise Unreadable("it ends within its file meta information, or is no DICOM file")
                taken = self._passage.finish()
                self._entry.stored(taken.study_uid, taken.published.size_bytes)
        except IntakeError as error:
            self._fail(error)
        self._close_passage()
        self.stored.append(Stored(*self._uids, self._failure))

    def close(self, end: End) -> None:
        """The request is over. What was not ended is not taken."""
        self._close_passage()
        if end is not End.WHOLE:
            self._entry.remark(ADVICE[Cause.STALLED if end is End.BROKEN_OFF else Cause.NOT_MULTIPART])
        self._entry.end(AssociationOutcome.RELEASED if end is End.WHOLE else AssociationOutcome.ABORTED)
        self._leave()

    def _enter(self) -> Passage:
        meta = read_meta(BytesIO(self._head))
        sop_class, syntax = meta.get(MEDIA_STORAGE_SOP_CLASS_UID, ""), meta.get(TRANSFER_SYNTAX_UID, "")
        self._uids = (sop_class, meta.get(MEDIA_STORAGE_SOP_INSTANCE_UID, ""))
        if sop_class not in STORAGE_CLASSES or syntax not in TRANSFER_SYNTAXES:
            raise NotSupported(f"class {sop_class[:64]!a} in syntax {syntax[:64]!a} is not one that is taken")
        record = self._entry.record
        origin = Origin(record.calling_ae, record.called_ae, record.address, record.id, self._peer.name, self._now())
        refuse = self._peer.on_conflict == "refuse"
        return self._door.enter(Offer(*self._uids, sop_class, syntax, origin, refuse, self._study_uid))

    def _fail(self, error: IntakeError) -> None:
        self._failure = answer_to(error).status
        self._entry.refused(f"{self._failure:04X}: {error}")
        self._close_passage()
        log.warning(
            "instance-refused",
            association=self._entry.record.id,
            status=f"{self._failure:04X}",
            error=type(error).__name__,
            why=str(error),
        )

    def _close_passage(self) -> None:
        if self._passage is not None:
            self._passage.close()
            self._passage = None


def _meta_bytes(head: bytearray) -> int:
    """Length of the preamble with the file meta information, 0 where it is not known yet. Raises Unreadable."""
    if len(head) < HEAD_BYTES:
        return 0
    tag, vr, length, value = struct.unpack_from("<I2sHI", head, 132)
    if head[128:132] != b"DICM" or (tag, vr, length) != (0x00000002, b"UL", 4) or value > MAX_META_BYTES:
        raise Unreadable("it is no DICOM file, or its file meta information is damaged")
    return HEAD_BYTES + int(value)


def _has_token(peer: Peer, token: str) -> bool:
    """Read anew at each request, because tokens are renewed; a file that cannot be read lets nobody in."""
    try:
        expected = Path(peer.token_file).read_bytes().strip()
    except OSError as error:
        log.warning("token-unreadable", peer=peer.name, why=error.strerror)
        return False
    return bool(expected) and compare_digest(expected, token.encode())
