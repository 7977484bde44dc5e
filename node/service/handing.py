"""Sends files to a peer because an operator asked for it, in the way in which results go there."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from node.errors import NotFound, Unreadable
from node.intake.importing import (
    MEDIA_STORAGE_SOP_CLASS_UID,
    MEDIA_STORAGE_SOP_INSTANCE_UID,
    TRANSFER_SYNTAX_UID,
)
from node.intake.importing import read_meta as read_identity
from node.sending.destination import Destination, ObjectOutcome, Parcel, SendOutcome
from node.sending.parcel import outcome_of
from node.sending.senders import sender_to
from node.state.files import files_below, unread

MEDIA_STORAGE_DIRECTORY = "1.2.840.10008.1.3.10"
SET_SIZE, SET_KINDS = 50, 40
"""So many instances go over one association, of so many kinds at most (SOP class and transfer syntax)."""


@dataclass(frozen=True)
class Found:
    """Instances below the paths that were named, and why each other file is none."""

    parcels: tuple[Parcel, ...]
    others: tuple[tuple[Path, str], ...]


@dataclass(frozen=True)
class Handed:
    """What became of one instance."""

    path: Path
    outcome: ObjectOutcome

    @property
    def is_accepted(self) -> bool:
        return self.outcome.outcome is SendOutcome.ACCEPTED

    @property
    def is_to_be_told(self) -> bool:
        """Whether there is more to say than that it arrived: it did not, or the peer changed or doubts it."""
        return self.outcome.status not in (0, 200)


def find_instances(paths: Sequence[Path]) -> Found:
    """Every instance in the files and folders. Raises NotFound where a path does not exist or none holds one."""
    parcels: list[Parcel] = []
    others: list[tuple[Path, str]] = []
    for path in paths:
        if not path.exists():
            raise NotFound(f"{path}: no such file or folder")
        files, closed = files_below(path)
        for file in files:
            try:
                parcels.append(_parcel(file))
            except Unreadable as error:
                others.append((file, str(error)))
            except OSError as error:
                others.append((file, unread(error)))
        others += [(Path(one.filename), unread(one)) for one in closed]
    if not parcels:
        raise NotFound(f"{', '.join(map(str, paths))}: no DICOM instance was found there ({len(others)} other files)")
    return Found(tuple(parcels), tuple(others))


def hand_over(destination: Destination, parcels: Sequence[Parcel]) -> Iterator[Handed]:
    """Send instances in sets, one association or connection each, and say of each what became of it.

    Where a set found nobody who answered, the rest has the same outcome, and is not tried.
    """
    sender = sender_to(destination)
    sets = _sets(parcels)
    for place, one in enumerate(sets):
        outcomes = sender.send(destination, one).objects
        yield from (Handed(parcel.path, outcome) for parcel, outcome in zip(one, outcomes, strict=True))
        first = outcomes[0]
        if all(each.status is None and each.outcome is SendOutcome.LATER for each in outcomes):
            for parcel in (each for left in sets[place + 1 :] for each in left):
                yield Handed(parcel.path, outcome_of(parcel, first.outcome, f"not tried, as before: {first.text}"))
            return


def _parcel(file: Path) -> Parcel:
    with file.open("rb") as opened:
        meta = read_identity(opened)
    tags = (MEDIA_STORAGE_SOP_CLASS_UID, MEDIA_STORAGE_SOP_INSTANCE_UID, TRANSFER_SYNTAX_UID)
    sop_class_uid, sop_instance_uid, transfer_syntax_uid = (meta.get(tag, "") for tag in tags)
    if sop_class_uid == MEDIA_STORAGE_DIRECTORY:
        raise Unreadable("it is a DICOMDIR, which lists instances and is none")
    if not (sop_class_uid and sop_instance_uid and transfer_syntax_uid):
        raise Unreadable("its file meta information does not say which instance it is, and in which transfer syntax")
    return Parcel(file, sop_class_uid, sop_instance_uid, transfer_syntax_uid)


def _sets(parcels: Sequence[Parcel]) -> list[list[Parcel]]:
    """In order; an instance that lies there twice goes over two associations, where the peer tells the copies apart."""
    sets: list[list[Parcel]] = [[]]
    for parcel in parcels:
        kinds = {(one.sop_class_uid, one.transfer_syntax_uid) for one in [*sets[-1], parcel]}
        uids = {one.sop_instance_uid for one in sets[-1]}
        if len(sets[-1]) == SET_SIZE or len(kinds) > SET_KINDS or parcel.sop_instance_uid in uids:
            sets.append([])
        sets[-1].append(parcel)
    return sets
