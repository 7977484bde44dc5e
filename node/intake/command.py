"""Command sets of DIMSE messages, read from and written to bytes (PS3.7 section 6.3.1 and annex E)."""

import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from node.core.identity import is_uid
from node.intake.pdu import Breach
from node.intake.status import COMMENT_LENGTH, Answer

AFFECTED_SOP_CLASS_UID: Final = 0x0002
REQUESTED_SOP_CLASS_UID: Final = 0x0003
COMMAND_FIELD: Final = 0x0100
MESSAGE_ID: Final = 0x0110
MESSAGE_ID_BEING_RESPONDED_TO: Final = 0x0120
COMMAND_DATA_SET_TYPE: Final = 0x0800
STATUS: Final = 0x0900
OFFENDING_ELEMENT: Final = 0x0901
ERROR_COMMENT: Final = 0x0902
AFFECTED_SOP_INSTANCE_UID: Final = 0x1000
REQUESTED_SOP_INSTANCE_UID: Final = 0x1001
EVENT_TYPE_ID: Final = 0x1002
ACTION_TYPE_ID: Final = 0x1008

NO_DATA_SET = 0x0101
_ELEMENT = struct.Struct("<HHI")
_US = struct.Struct("<H")


class CommandField(IntEnum):
    """Which message it is (PS3.7 table E.1-1); a response has the highest bit set."""

    C_STORE_RQ = 0x0001
    C_ECHO_RQ = 0x0030
    N_EVENT_REPORT_RQ = 0x0100
    N_ACTION_RQ = 0x0130
    N_EVENT_REPORT_RSP = 0x8100
    C_CANCEL_RQ = 0x0FFF


RESPONSE = 0x8000


@dataclass(frozen=True)
class Command:
    """A command set: the values of its elements by element number, padding included."""

    elements: dict[int, bytes]

    @property
    def field(self) -> int:
        return self._number(COMMAND_FIELD)

    @property
    def has_data_set(self) -> bool:
        return self._number(COMMAND_DATA_SET_TYPE) != NO_DATA_SET

    @property
    def message_id(self) -> int:
        return self._number(MESSAGE_ID)

    @property
    def status(self) -> int:
        """Of a response."""
        return self._number(STATUS)

    @property
    def responds_to(self) -> int:
        """Message id of the request that a response answers."""
        return self._number(MESSAGE_ID_BEING_RESPONDED_TO)

    def uid(self, number: int) -> str:
        """The text of a UID, padding trimmed; perhaps no UID at all."""
        return self.elements.get(number, b"").decode("latin-1").strip(" \0")

    def lacks(self, *numbers: int) -> list[str]:
        """Names of those of the elements that are missing, empty, or numbers of another size."""
        return [_NAMES[number] for number in numbers if not self._has(number)]

    def _has(self, number: int) -> bool:
        if number in _BINARY:
            return len(self.elements.get(number, b"")) == _US.size
        return bool(self.uid(number))

    def _number(self, number: int) -> int:
        content = self.elements.get(number, b"")
        if len(content) != _US.size:
            raise Breach(f"a command came without {_NAMES[number]}")
        return int(_US.unpack(content)[0])


_BINARY = frozenset({MESSAGE_ID, EVENT_TYPE_ID, ACTION_TYPE_ID})
_NAMES = {
    AFFECTED_SOP_CLASS_UID: "AffectedSOPClassUID",
    REQUESTED_SOP_CLASS_UID: "RequestedSOPClassUID",
    COMMAND_FIELD: "CommandField",
    MESSAGE_ID: "MessageID",
    COMMAND_DATA_SET_TYPE: "CommandDataSetType",
    MESSAGE_ID_BEING_RESPONDED_TO: "MessageIDBeingRespondedTo",
    STATUS: "Status",
    AFFECTED_SOP_INSTANCE_UID: "AffectedSOPInstanceUID",
    REQUESTED_SOP_INSTANCE_UID: "RequestedSOPInstanceUID",
    EVENT_TYPE_ID: "EventTypeID",
    ACTION_TYPE_ID: "ActionTypeID",
}


def read_command(content: bytes) -> Command:
    """The command set of a message, in Implicit VR Little Endian. Raises Breach where it is garbled."""
    elements: dict[int, bytes] = {}
    place = 0
    while place < len(content):
        if len(content) - place < _ELEMENT.size:
            raise Breach("a command is cut off")
        group, number, length = _ELEMENT.unpack_from(content, place)
        place += _ELEMENT.size
        if group or length > len(content) - place:
            raise Breach("a command is garbled")
        elements[number] = content[place : place + length]
        place += length
    return Command(elements)


def response(request: Command, answer: Answer, more: dict[int, bytes] | None = None) -> bytes:
    """The response to a request: its UIDs, where they are UIDs, and the answer; `more` elements by number."""
    affected = {
        number: request.uid(asked) or request.uid(number)
        for number, asked in (
            (AFFECTED_SOP_CLASS_UID, REQUESTED_SOP_CLASS_UID),
            (AFFECTED_SOP_INSTANCE_UID, REQUESTED_SOP_INSTANCE_UID),
        )
    }
    elements = {number: _text(uid, b"\0") for number, uid in affected.items() if is_uid(uid)}
    elements |= {
        COMMAND_FIELD: _US.pack(request.field | RESPONSE),
        MESSAGE_ID_BEING_RESPONDED_TO: _US.pack(request.message_id),
        COMMAND_DATA_SET_TYPE: _US.pack(NO_DATA_SET),
        STATUS: _US.pack(answer.status),
    }
    if answer.offending_tag is not None:
        elements[OFFENDING_ELEMENT] = struct.pack("<HH", answer.offending_tag >> 16, answer.offending_tag & 0xFFFF)
    if answer.comment:
        elements[ERROR_COMMENT] = _text(answer.comment[:COMMENT_LENGTH], b" ")
    return encode({**elements, **(more or {})})


def encode(elements: dict[int, bytes]) -> bytes:
    """A command set, with its group length."""
    group = b"".join(_ELEMENT.pack(0, number, len(elements[number])) + elements[number] for number in sorted(elements))
    return _ELEMENT.pack(0, 0, 4) + struct.pack("<I", len(group)) + group


def encode_uid(uid: str) -> bytes:
    """A UID as the value of an element."""
    return _text(uid, b"\0")


def _text(value: str, pad: bytes) -> bytes:
    content = value.encode("ascii", "replace")
    return content + pad * (len(content) % 2)
