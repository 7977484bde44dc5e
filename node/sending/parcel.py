"""A result file on its way out: opened, and seen to be the object that the ledger knows."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import BinaryIO

from pydicom.errors import InvalidDicomError
from pydicom.uid import UID
from pynetdicom.dsutils import split_dataset

from node.errors import IsocenterError
from node.sending.destination import Destination, ObjectOutcome, Parcel, SendOutcome, SendReport

SEGMENTATIONS = {
    "1.2.840.10008.5.1.4.1.1.66.4": "Segmentation Storage",
    "1.2.840.10008.5.1.4.1.1.66.7": "Label Map Segmentation Storage",
}
"""With their names, because pydicom does not know the second."""
STRUCTURED_REPORT_PREFIX = "1.2.840.10008.5.1.4.1.1.88."


class FileUnusable(IsocenterError):
    """A file of this node cannot be sent; the message says which side has to do what."""


@contextmanager
def opened(parcel: Parcel) -> Iterator[BinaryIO]:
    """The parcel's file, standing at the first byte of its data set. Raises FileUnusable."""
    advice = "restore it from a backup of this node, then resend."
    try:
        meta, offset = split_dataset(parcel.path)
        length = parcel.path.stat().st_size - offset
        file = parcel.path.open("rb")
    except (OSError, EOFError, InvalidDicomError) as error:
        raise FileUnusable(f"{parcel.path} cannot be read ({type(error).__name__}): {advice}") from error
    with file:
        keywords = ("MediaStorageSOPClassUID", "MediaStorageSOPInstanceUID", "TransferSyntaxUID")
        meant = (parcel.sop_class_uid, parcel.sop_instance_uid, parcel.transfer_syntax_uid)
        if tuple(meta.get(one) for one in keywords) != meant or not length:
            raise FileUnusable(f"{parcel.path} is not the object it should be: {advice}")
        file.seek(offset)
        yield file


def is_form_refused(parcels: Iterable[Parcel], outcomes: Mapping[str, ObjectOutcome]) -> bool:
    """Whether a replaceable one was refused for good. outcomes: by SOP Instance UID, of those that were sent."""
    refused = {uid for uid, one in outcomes.items() if one.outcome is SendOutcome.PARKED}
    return any(one.is_replaceable and one.sop_instance_uid in refused for one in parcels)


def in_turn(parcels: Sequence[Parcel], accepted: Collection[str], attempt: int) -> list[Parcel]:
    """Replaceable ones first; of those that wait, another one begins at each attempt: a peer that breaks off over one
    of them, each time, still gets the others."""
    ahead = [one for one in parcels if one.is_replaceable or one.sop_instance_uid in accepted]
    waiting = [one for one in parcels if one not in ahead]
    begin = (attempt - 1) % len(waiting) if waiting else 0
    return sorted([*ahead, *waiting[begin:], *waiting[:begin]], key=lambda one: not one.is_replaceable)


def outcome_of(
    parcel: Parcel,
    outcome: SendOutcome,
    text: str,
    *,
    status: int | None = None,
    is_changed: bool = False,
    comment: str | None = None,
    pause_s: float = 0,
    is_away: bool = False,
) -> ObjectOutcome:
    """What became of a parcel, in words that name its kind. is_changed: the peer stored it and said that it changed or
    doubts it, which readers of a SEG or SR should know."""
    kind = SEGMENTATIONS.get(parcel.sop_class_uid) or UID(parcel.sop_class_uid).name
    matters = parcel.sop_class_uid in SEGMENTATIONS or parcel.sop_class_uid.startswith(STRUCTURED_REPORT_PREFIX)
    warning = text if is_changed and matters else None
    return ObjectOutcome(
        parcel.sop_instance_uid, outcome, status, warning, f"{kind}: {text}", comment, pause_s, is_away
    )


def whole_report(
    destination: Destination,
    parcels: Sequence[Parcel],
    waiting: Sequence[Parcel],
    outcomes: Mapping[str, ObjectOutcome],
) -> SendReport:
    """The report on a set, of which the waiting ones were sent now: what was not had been accepted before.

    outcomes: by SOP Instance UID, of those that were sent.
    """
    if is_form_refused(waiting, outcomes):
        return SendReport((), is_form_refused=True)
    earlier = f"Accepted by {destination.name} at an earlier attempt."
    found = (outcomes.get(one.sop_instance_uid) or outcome_of(one, SendOutcome.ACCEPTED, earlier) for one in parcels)
    return SendReport(tuple(found))
