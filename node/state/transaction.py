"""Data sets of storage commitment: what one side asks the other to keep, and what that one reports (PS3.4 J.3)."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from pydicom.dataset import Dataset
from pydicom.uid import ImplicitVRLittleEndian
from pynetdicom.dsutils import encode

from node.core.commitment import COMMITTED
from node.errors import Unreadable
from node.state.attributes import Attributes
from node.state.part10 import PARSE_ERRORS, read_attributes

PUSH_MODEL_CLASS = "1.2.840.10008.1.20.1"
PUSH_MODEL_INSTANCE = "1.2.840.10008.1.20.1.1"
"""Storage Commitment Push Model and its well-known instance (PS3.6 table A-1)."""
REQUEST = 1
"""Action Type ID (PS3.4 table J.3.2.1-1)."""
ALL_COMMITTED, SOME_FAILED = 1, 2
"""Event Type IDs (PS3.4 table J.3.3.1-1)."""

TRANSACTION_TAG, REFERENCED_TAG, FAILED_TAG = 0x00081195, 0x00081199, 0x00081198
_KEYWORDS = "TransactionUID ReferencedSOPSequence FailedSOPSequence"


@dataclass(frozen=True)
class Reference:
    """An instance as the messages name it."""

    sop_class_uid: str
    sop_uid: str


@dataclass(frozen=True)
class Request:
    """What is to be kept."""

    transaction_uid: str
    references: tuple[Reference, ...]


@dataclass(frozen=True)
class Report:
    """What became of each instance: COMMITTED, or a Failure Reason, by SOP Instance UID."""

    transaction_uid: str
    outcomes: Mapping[str, int]


def read_request(content: bytes, transfer_syntax_uid: str) -> Request:
    """The data set of an N-ACTION. Raises Unreadable, with the element at fault."""
    try:
        found = read_attributes(content, transfer_syntax_uid, _KEYWORDS)
        references = tuple(_reference(one, REFERENCED_TAG) for one in found.items("ReferencedSOPSequence"))
    except PARSE_ERRORS as error:
        raise Unreadable("the request's sequence is damaged", REFERENCED_TAG) from error
    if not references:
        raise Unreadable("the request names no instance", REFERENCED_TAG)
    return Request(_transaction(found), references)


def read_report(content: bytes, transfer_syntax_uid: str) -> Report:
    """The data set of an N-EVENT-REPORT. Raises Unreadable, with the element at fault.

    An instance that is named as committed and as failed counts as failed.
    """
    try:
        found = read_attributes(content, transfer_syntax_uid, _KEYWORDS)
        outcomes = {_reference(one, REFERENCED_TAG).sop_uid: COMMITTED for one in found.items("ReferencedSOPSequence")}
        for one in found.items("FailedSOPSequence"):
            reason = one.integer("FailureReason")
            if not reason:
                raise Unreadable("a failed instance has no failure reason", FAILED_TAG)
            outcomes[_reference(one, FAILED_TAG).sop_uid] = reason
    except PARSE_ERRORS as error:
        raise Unreadable("a sequence of the report is damaged") from error
    return Report(_transaction(found), outcomes)


def encode_request(request: Request) -> bytes:
    """The data set of an N-ACTION, in Implicit VR Little Endian."""
    content = Dataset()
    content.TransactionUID = request.transaction_uid
    content.ReferencedSOPSequence = [_item(one) for one in request.references]
    return _encoded(content)


def encode_report(
    transaction_uid: str,
    references: Iterable[Reference],
    outcomes: Mapping[str, int],
    transfer_syntax_uid: str = str(ImplicitVRLittleEndian),
) -> bytes:
    """The data set of an N-EVENT-REPORT, in an uncompressed syntax."""
    content = Dataset()
    content.TransactionUID = transaction_uid
    named = [(_item(one), outcomes[one.sop_uid]) for one in references]
    committed = [item for item, outcome in named if outcome == COMMITTED]
    failed = [(item, outcome) for item, outcome in named if outcome != COMMITTED]
    if committed:
        content.ReferencedSOPSequence = committed
    for item, outcome in failed:
        item.FailureReason = outcome
    if failed:
        content.FailedSOPSequence = [item for item, _ in failed]
    return _encoded(content, is_implicit=transfer_syntax_uid == ImplicitVRLittleEndian)


def event_type(outcomes: Mapping[str, int]) -> int:
    """Event Type ID of a report."""
    return ALL_COMMITTED if all(one == COMMITTED for one in outcomes.values()) else SOME_FAILED


def _transaction(found: Attributes) -> str:
    uid = found.uid("TransactionUID")
    if uid is None:
        raise Unreadable("the transaction's UID is missing or malformed", TRANSACTION_TAG)
    return uid


def _reference(item: Attributes, tag: int) -> Reference:
    sop_class, sop = item.uid("ReferencedSOPClassUID"), item.uid("ReferencedSOPInstanceUID")
    if sop_class is None or sop is None:
        raise Unreadable("a reference lacks its class or instance UID", tag)
    return Reference(sop_class, sop)


def _item(reference: Reference) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = reference.sop_class_uid
    item.ReferencedSOPInstanceUID = reference.sop_uid
    return item


def _encoded(content: Dataset, *, is_implicit: bool = True) -> bytes:
    return encode(content, is_implicit_vr=is_implicit, is_little_endian=True) or b""
