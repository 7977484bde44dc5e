"""Takes one instance, whatever protocol brought it."""

from collections.abc import Callable
from dataclasses import dataclass
from threading import Event
from typing import Self

from node.core.identity import ClassUID, InstanceUID, is_uid
from node.errors import DatasetMismatch, NodeDraining, SpoolFull, TooLarge, Unreadable
from node.intake.instance import IdentityReader, check
from node.intake.walk import Bytes
from node.settings import IntakeTable
from node.state.spool import Aside, Draft, Origin, Published, Spool

AFFECTED_SOP_CLASS_UID = 0x00000002
AFFECTED_SOP_INSTANCE_UID = 0x00001000
STUDY_INSTANCE_UID = 0x0020000D
MEBIBYTE = 1 << 20
ROOM_CHECKED_EVERY_BYTES = 16 * MEBIBYTE


@dataclass(frozen=True)
class Offer:
    """One instance as a C-STORE request offers it, before its data set.

    abstract_syntax_uid, transfer_syntax_uid: of the presentation context it comes on. sop_class_uid,
    sop_instance_uid: as the command says. study_uid: the only study it may belong to; empty for any.
    """

    sop_class_uid: str
    sop_instance_uid: str
    abstract_syntax_uid: str
    transfer_syntax_uid: str
    origin: Origin
    refuse_conflict: bool
    study_uid: str = ""


@dataclass(frozen=True)
class Taken:
    """An instance that is safe: it may be acknowledged."""

    study_uid: str
    published: Published


class Door:
    """The way into the spool. stopping: once it is set, nothing new is taken."""

    def __init__(
        self, spool: Spool, intake: IntakeTable, ring: Callable[[], None], stopping: Event | None = None
    ) -> None:
        self.spool = spool
        self._intake = intake
        self.ring = ring
        self.max_instance_bytes = intake.max_instance_mb * MEBIBYTE
        self._stopping = stopping or Event()

    @property
    def is_draining(self) -> bool:
        return self._stopping.is_set()

    def free_mb(self) -> int:
        """Room that is left, in MiB."""
        return self.spool.free_mb()

    def prepare(self) -> Aside | None:
        """What the next instance will need, made while nobody waits for it."""
        return self.spool.prepare()

    def enter(self, offer: Offer, prepared: Aside | None = None) -> "Passage":
        """Begin to take an instance, with what was prepared for it. Raises a leaf of IntakeError where it cannot be
        taken, whatever its data set; what was prepared is then still the caller's."""
        self.check_draining()
        for uid, tag in (
            (offer.sop_class_uid, AFFECTED_SOP_CLASS_UID),
            (offer.sop_instance_uid, AFFECTED_SOP_INSTANCE_UID),
        ):
            if not is_uid(uid):
                raise Unreadable(f"it is announced as {uid[:64]!a}, which is no UID: correct it in the sender", tag)
        if offer.sop_class_uid != offer.abstract_syntax_uid:
            raise DatasetMismatch(
                f"the command says {offer.sop_class_uid}, its presentation context {offer.abstract_syntax_uid}",
                AFFECTED_SOP_CLASS_UID,
            )
        self.check_room()
        return Passage(self, offer, prepared)

    def take(self, offer: Offer, data_set: Bytes) -> Taken:
        """Take an instance whose data set is there as a whole; raises as a Passage does."""
        with self.enter(offer) as passage:
            passage.write(data_set)
            return passage.finish()

    def check_draining(self) -> None:
        if self.is_draining:
            raise NodeDraining("the node is being stopped: send the instance again later")

    def check_size(self, size_bytes: int) -> None:
        if size_bytes > self.max_instance_bytes:
            raise TooLarge(f"{size_bytes} bytes are more than intake.max_instance_mb ({self._intake.max_instance_mb})")

    def check_room(self) -> None:
        if self.free_mb() < self._intake.disk_reserve_mb:
            raise SpoolFull(f"less than intake.disk_reserve_mb ({self._intake.disk_reserve_mb}) is left: make room")


class Passage:
    """One instance on its way through the door; close it, whatever became of it.

    Its data set passes in pieces of any size, which are written as they come and never all held in memory. Each
    method raises a leaf of IntakeError where the instance is not taken; nothing of it stays then.
    """

    def __init__(self, door: Door, offer: Offer, prepared: Aside | None) -> None:
        self._door = door
        self._offer = offer
        self._reader = IdentityReader(offer.transfer_syntax_uid)
        self._room_checked_at = 0
        self._draft: Draft = door.spool.begin(
            sop_class_uid=ClassUID(offer.sop_class_uid),
            sop_instance_uid=InstanceUID(offer.sop_instance_uid),
            transfer_syntax_uid=offer.transfer_syntax_uid,
            origin=offer.origin,
            aside=prepared,
        )

    def write(self, chunk: Bytes) -> None:
        """The next bytes of the data set."""
        size_bytes = self._draft.size_bytes + len(chunk)
        self._door.check_size(size_bytes)
        if size_bytes - self._room_checked_at >= ROOM_CHECKED_EVERY_BYTES:
            self._room_checked_at = size_bytes
            self._door.check_room()
        self._reader.feed(chunk)
        self._draft.write(chunk)

    def finish(self) -> Taken:
        """The data set has passed: check it and keep it. When this returns, it is durable."""
        identity = self._reader.finish(self._draft.size_bytes)
        check(identity, self._offer.sop_class_uid, self._offer.sop_instance_uid)
        if self._offer.study_uid not in ("", identity.study_uid):
            raise DatasetMismatch("it belongs to another study than the request says", STUDY_INSTANCE_UID)
        published = self._door.spool.publish(
            self._draft, study_uid=identity.study_uid, refuse_conflict=self._offer.refuse_conflict
        )
        self._door.ring()
        return Taken(identity.study_uid, published)

    def close(self) -> None:
        """Harmless when done twice."""
        self._draft.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
