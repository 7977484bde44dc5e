"""Result sets sent by C-STORE, one association each."""

import io
import struct
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import BinaryIO

from pydicom import dcmread
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.uid import UID

from node.sending.association import Association, AssociationFailed
from node.sending.destination import (
    DEFLATED,
    EXPLICIT,
    IMPLICIT,
    Destination,
    EchoReport,
    ObjectOutcome,
    Parcel,
    ProbeReport,
    SendOutcome,
    SendReport,
)
from node.sending.outcome import Answer, of_refused_context, of_status
from node.sending.parcel import FileUnusable, is_form_refused, opened, outcome_of, whole_report
from node.sending.pdu import Response, Tag

C_STORE_RQ = 0x0001
C_ECHO_RQ = 0x0030
MEDIUM_PRIORITY = 0x0000
VERIFICATION = "1.2.840.10008.1.1"

REENCODABLE = frozenset({EXPLICIT, DEFLATED})
"""What can become another little endian syntax, element by element. Big endian cannot: its pixels are swapped."""

UNENCODABLE = (ValueError, TypeError, AttributeError, KeyError, OverflowError, NotImplementedError, struct.error)
"""What pydicom raises on a value that does not fit its VR."""


class DimseSender:
    """Sends by C-STORE (PS3.4 annex B); holds nothing, so one serves every destination and thread."""

    def send(
        self, destination: Destination, parcels: Sequence[Parcel], already_accepted: Collection[str] = ()
    ) -> SendReport:
        """Send what is not yet accepted over one association, in the given order, files as they are stored.

        An object whose transfer syntax the peer does not accept is re-encoded in another that it does, of those set for
        the destination, where that leaves every value as it is. After the association is lost, the rest is LATER.
        Bounded by the destination's timeouts; raises ValueError for a set of more than 40 kinds (SOP class and transfer
        syntax).
        """
        waiting = [one for one in parcels if one.sop_instance_uid not in already_accepted]
        outcomes = _stored(destination, waiting) if waiting else {}
        return whole_report(destination, parcels, waiting, outcomes)

    def echo(self, destination: Destination) -> EchoReport:
        """Ask for a C-ECHO (PS3.4 annex A); what is wrong is said in words that name the side to mend."""
        pair = (VERIFICATION, IMPLICIT)
        try:
            with Association(destination, [pair]) as association:
                if pair not in association.accepted:
                    return EchoReport(False, f"{destination.name} takes our associations, but not C-ECHO.")
                command: dict[Tag, int | str] = {
                    Tag.AFFECTED_SOP_CLASS_UID: VERIFICATION,
                    Tag.COMMAND_FIELD: C_ECHO_RQ,
                }
                response = association.request(association.accepted[pair], command)
        except AssociationFailed as failure:
            return EchoReport(False, str(failure))
        if response.status != 0:
            return EchoReport(False, f"{destination.name} answered C-ECHO with {_hex(response.status)}.")
        return EchoReport(True, f"{destination.name} answered C-ECHO.")

    def probe(
        self,
        destination: Destination,
        sop_classes: Sequence[str],
        transfer_syntaxes: Sequence[str] = (EXPLICIT, IMPLICIT),
    ) -> ProbeReport:
        """Ask by negotiation alone what the destination accepts; raises ValueError for more than 128 combinations."""
        try:
            with Association(
                destination, [(one, syntax) for one in sop_classes for syntax in transfer_syntaxes]
            ) as asked:
                accepted = tuple(
                    (one, tuple(syntax for syntax in transfer_syntaxes if (one, syntax) in asked.accepted))
                    for one in sop_classes
                )
        except AssociationFailed as failure:
            return ProbeReport(False, str(failure), ())
        return ProbeReport(True, f"{destination.name} answered.", accepted)


def _stored(destination: Destination, parcels: Sequence[Parcel]) -> dict[str, ObjectOutcome]:
    """An outcome by SOP Instance UID for each parcel."""
    outcomes: dict[str, ObjectOutcome] = {}
    try:
        with Association(destination, _contexts(destination, parcels)) as association:
            for parcel in parcels:
                outcomes[parcel.sop_instance_uid] = _store(association, destination, parcel)
                if is_form_refused([parcel], outcomes):
                    break
    except AssociationFailed as failure:
        for parcel in parcels:
            lost = outcome_of(parcel, failure.answer.outcome, str(failure), is_away=failure.answer.is_away)
            outcomes.setdefault(parcel.sop_instance_uid, lost)
    return outcomes


def _contexts(destination: Destination, parcels: Sequence[Parcel]) -> list[tuple[str, str]]:
    """Own syntax and fallbacks as contexts of their own: in one, the peer might choose a fallback though it knows the
    other."""
    return list(dict.fromkeys(pair for parcel in parcels for pair in _pairs(destination, parcel)))


def _pairs(destination: Destination, parcel: Parcel) -> list[tuple[str, str]]:
    """How a parcel may go, the best first; one that is compressed always as it is."""
    own = parcel.transfer_syntax_uid
    others = [one for one in (EXPLICIT, IMPLICIT) if one != own] if own in REENCODABLE else []
    is_own_due = own in destination.syntaxes or own not in (EXPLICIT, IMPLICIT)
    found = [*([own] if is_own_due else []), *(one for one in others if one in destination.syntaxes)]
    return [(parcel.sop_class_uid, one) for one in found or [own]]


def _store(association: Association, destination: Destination, parcel: Parcel) -> ObjectOutcome:
    pairs = _pairs(destination, parcel)
    pair = next((one for one in pairs if one in association.accepted), None)
    if pair is None:
        answer = of_refused_context(association.refused[pairs[0]])
        return outcome_of(parcel, answer.outcome, answer.text(destination))
    command: dict[Tag, int | str] = {
        Tag.AFFECTED_SOP_CLASS_UID: parcel.sop_class_uid,
        Tag.COMMAND_FIELD: C_STORE_RQ,
        Tag.PRIORITY: MEDIUM_PRIORITY,
        Tag.AFFECTED_SOP_INSTANCE_UID: parcel.sop_instance_uid,
    }
    try:
        with _data_set(parcel, pair[1]) as data_set:
            response = association.request(association.accepted[pair], command, data_set)
    except FileUnusable as error:
        return outcome_of(parcel, SendOutcome.PARKED, str(error))
    return _answered(destination, parcel, of_status(response.status), response)


@contextmanager
def _data_set(parcel: Parcel, syntax: str) -> Iterator[BinaryIO]:
    """The parcel's data set in a transfer syntax, standing at its first byte. Raises FileUnusable."""
    with opened(parcel) as file:
        yield file if syntax == parcel.transfer_syntax_uid else _reencoded(parcel, syntax)


def _reencoded(parcel: Parcel, syntax: str) -> BinaryIO:
    buffer = DicomBytesIO()
    buffer.is_little_endian = True
    buffer.is_implicit_VR = syntax == IMPLICIT
    try:
        write_dataset(buffer, dcmread(parcel.path))
    except UNENCODABLE as error:
        raise FileUnusable(
            f"{parcel.path} cannot be re-encoded as {UID(syntax).name}, the only syntax that is accepted and set: "
            f"enable {UID(parcel.transfer_syntax_uid).name} there."
        ) from error
    return io.BytesIO(buffer.getvalue())


def _answered(destination: Destination, parcel: Parcel, answer: Answer, response: Response) -> ObjectOutcome:
    text = answer.text(destination)
    if response.status != 0:
        text += f" (status {_hex(response.status)}"
        text += "".join(f", element ({tag >> 16:04X},{tag & 0xFFFF:04X})" for tag in response.offending_elements) + ")"
    return outcome_of(
        parcel,
        answer.outcome,
        text,
        status=response.status,
        is_changed=answer.outcome is SendOutcome.ACCEPTED and response.status not in (0, 0x0111),
        comment=response.comment or None,
    )


def _hex(status: int | None) -> str:
    return "none" if status is None else f"{status:04X}"
