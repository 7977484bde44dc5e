"""The bytes a requestor of associations writes and reads (PS3.8 section 9.3, PS3.7 section 6.3).

Written here because reading must be bounded and forgiving: reserved fields are not tested, unknown items are skipped,
and whatever else a peer sends ends in one error, Malformed. pynetdicom's decoders raise whatever comes.
"""

import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum

from node import __version__
from node.core.identity import derived_uid
from node.core.upper_layer import PduType

APPLICATION_CONTEXT = "1.2.840.10008.3.1.1.1"
IMPLEMENTATION_CLASS_UID = derived_uid("isocenter", "implementation class")
IMPLEMENTATION_VERSION_NAME = f"ISOCENTER_{__version__}"[:16]
OUR_MAXIMUM_LENGTH = 16384

COMMAND_BIT, LAST_BIT = 0x01, 0x02
"""Message control header (PS3.8 annex E.2)."""

NO_DATA_SET = 0x0101
N_EVENT_REPORT_RQ, N_EVENT_REPORT_RSP = 0x0100, 0x8100


class Malformed(Exception):
    """Bytes that are not what PS3.8 or PS3.7 says they should be."""


class Tag(IntEnum):
    """Command elements of group 0000 that are written or read (PS3.7 annex E)."""

    AFFECTED_SOP_CLASS_UID = 0x0002
    REQUESTED_SOP_CLASS_UID = 0x0003
    COMMAND_FIELD = 0x0100
    MESSAGE_ID = 0x0110
    MESSAGE_ID_BEING_RESPONDED_TO = 0x0120
    PRIORITY = 0x0700
    COMMAND_DATA_SET_TYPE = 0x0800
    STATUS = 0x0900
    OFFENDING_ELEMENT = 0x0901
    ERROR_COMMENT = 0x0902
    AFFECTED_SOP_INSTANCE_UID = 0x1000
    REQUESTED_SOP_INSTANCE_UID = 0x1001
    EVENT_TYPE_ID = 0x1002
    ACTION_TYPE_ID = 0x1008


@dataclass(frozen=True)
class Acceptance:
    """An A-ASSOCIATE-AC: (result, transfer syntax) by presentation context ID; the peer's maximum length, 0 = any."""

    contexts: Mapping[int, tuple[int, str]]
    maximum_length: int


def _pdu(kind: PduType, body: bytes) -> bytes:
    return struct.pack(">BxI", kind, len(body)) + body


def _item(kind: int, body: bytes) -> bytes:
    return struct.pack(">BxH", kind, len(body)) + body


def _items(data: bytes) -> Iterator[tuple[int, bytes]]:
    position = 0
    while position < len(data):
        try:
            kind, length = struct.unpack_from(">BxH", data, position)
        except struct.error as error:
            raise Malformed("an item's header is cut short") from error
        position += 4
        if position + length > len(data):
            raise Malformed("an item is longer than what holds it")
        yield kind, data[position : position + length]
        position += length


def associate_request(
    calling: str, called: str, contexts: Sequence[tuple[str, str]], provided: str | None = None
) -> bytes:
    """An A-ASSOCIATE-RQ with one presentation context per (abstract syntax, transfer syntax), IDs 1, 3, 5 … in order.

    provided: a SOP class of which we are the provider though we ask for the association (PS3.7 section D.3.3.4).
    Raises ValueError for more than 128 contexts: their IDs are odd and one byte long (PS3.8 section 9.3.2.2).
    """
    if len(contexts) > 128:
        raise ValueError(f"{len(contexts)} presentation contexts are too many for one association, which holds 128")
    proposed = b"".join(
        _item(0x20, bytes((2 * number + 1, 0, 0, 0)) + _item(0x30, abstract.encode()) + _item(0x40, transfer.encode()))
        for number, (abstract, transfer) in enumerate(contexts)
    )
    user_information = (
        _item(0x51, struct.pack(">I", OUR_MAXIMUM_LENGTH))
        + _item(0x52, IMPLEMENTATION_CLASS_UID.encode())
        + _item(0x55, IMPLEMENTATION_VERSION_NAME.encode())
    )
    if provided is not None:
        user_information += _item(0x54, struct.pack(">H", len(provided)) + provided.encode() + bytes((0, 1)))
    titles = struct.pack(">H2x16s16s32x", 1, called.ljust(16).encode("ascii"), calling.ljust(16).encode("ascii"))
    application_context = _item(0x10, APPLICATION_CONTEXT.encode())
    return _pdu(PduType.ASSOCIATE_RQ, titles + application_context + proposed + _item(0x50, user_information))


def read_acceptance(body: bytes) -> Acceptance:
    """The body of an A-ASSOCIATE-AC. Raises Malformed."""
    contexts: dict[int, tuple[int, str]] = {}
    maximum_length = 0
    for kind, item in _items(body[68:]):
        if kind == 0x21:
            if len(item) < 4:
                raise Malformed("a presentation context is cut short")
            syntaxes = [text for part, text in _items(item[4:]) if part == 0x40]
            contexts[item[0]] = (item[2], _text(syntaxes[0]) if syntaxes else "")
        elif kind == 0x50:
            for part, value in _items(item):
                if part == 0x51 and len(value) == 4:
                    maximum_length = int.from_bytes(value, "big")
    return Acceptance(contexts, maximum_length)


def p_data(context_id: int, control: int, fragment: bytes) -> bytes:
    """A P-DATA-TF with one fragment of a message."""
    header = struct.pack(">BxIIBB", PduType.P_DATA_TF, len(fragment) + 6, len(fragment) + 2, context_id, control)
    return header + fragment


def read_p_data(body: bytes) -> Iterator[tuple[int, int, bytes]]:
    """(presentation context ID, control header, fragment) of a P-DATA-TF's body. Raises Malformed."""
    position = 0
    while position < len(body):
        try:
            length, context_id, control = struct.unpack_from(">IBB", body, position)
        except struct.error as error:
            raise Malformed("a presentation data value is cut short") from error
        end = position + 4 + length
        if length < 2 or end > len(body):
            raise Malformed("a presentation data value's length is wrong")
        yield context_id, control, body[position + 6 : end]
        position = end


RELEASE_REQUEST = _pdu(PduType.RELEASE_RQ, bytes(4))
RELEASE_RESPONSE = _pdu(PduType.RELEASE_RP, bytes(4))
ABORT = _pdu(PduType.ABORT, bytes(4))
"""An A-ABORT by the service user."""


def command_set(elements: Mapping[Tag, int | str]) -> bytes:
    """A command set in Implicit VR Little Endian: text becomes a UID, a number becomes US."""
    encoded = b""
    for tag, value in sorted(elements.items()):
        data = struct.pack("<H", value) if isinstance(value, int) else value.encode("ascii")
        data += b"\0" * (len(data) % 2)
        encoded += struct.pack("<HHI", 0, tag, len(data)) + data
    return struct.pack("<HHII", 0, 0, 4, len(encoded)) + encoded


@dataclass(frozen=True)
class Response:
    """What is read of a DIMSE response; None and empty where the peer left it out."""

    message_id: int | None
    status: int | None
    has_data_set: bool
    offending_elements: tuple[int, ...]
    comment: str


@dataclass(frozen=True)
class Event:
    """What is read of an N-EVENT-REPORT request, which a peer may make on an association of ours."""

    message_id: int
    has_data_set: bool


def read_event(data: bytes) -> Event | None:
    """An N-EVENT-REPORT request's command set; None where it is another message. Raises Malformed."""
    elements = _elements(data)
    message_id = _number(elements, Tag.MESSAGE_ID)
    if _number(elements, Tag.COMMAND_FIELD) != N_EVENT_REPORT_RQ or message_id is None:
        return None
    return Event(message_id, _number(elements, Tag.COMMAND_DATA_SET_TYPE) != NO_DATA_SET)


def read_response(data: bytes) -> Response:
    """A response's command set. Raises Malformed."""
    elements = _elements(data)
    offending = elements.get(Tag.OFFENDING_ELEMENT, b"")
    return Response(
        message_id=_number(elements, Tag.MESSAGE_ID_BEING_RESPONDED_TO),
        status=_number(elements, Tag.STATUS),
        has_data_set=_number(elements, Tag.COMMAND_DATA_SET_TYPE) not in (NO_DATA_SET, None),
        offending_elements=tuple(
            group << 16 | element for group, element in struct.iter_unpack("<HH", offending[: len(offending) // 4 * 4])
        ),
        comment=_text(elements.get(Tag.ERROR_COMMENT, b"")),
    )


def _elements(data: bytes) -> dict[int, bytes]:
    elements: dict[int, bytes] = {}
    position = 0
    while position < len(data):
        try:
            group, element, length = struct.unpack_from("<HHI", data, position)
        except struct.error as error:
            raise Malformed("a command element is cut short") from error
        position += 8
        if group != 0 or position + length > len(data):
            raise Malformed("a command element is wrong")
        elements[element] = data[position : position + length]
        position += length
    return elements


def _number(elements: Mapping[int, bytes], tag: Tag) -> int | None:
    value = elements.get(tag, b"")
    return int.from_bytes(value, "little") if len(value) == 2 else None


def _text(value: bytes) -> str:
    return value.decode("ascii", "replace").strip(" \0")
