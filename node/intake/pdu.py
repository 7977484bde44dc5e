"""Protocol data units of the upper layer as bytes (PS3.8 section 9.3)."""

import struct
from collections.abc import Iterator
from enum import IntEnum

from node.core.upper_layer import PduType
from node.intake.advice import Cause, advised

HEAD = struct.Struct(">BxI")
_VALUE_HEAD = struct.Struct(">IBB")
_FOUR_BYTES = struct.Struct(">BxI4B")


class AbortSource(IntEnum):
    """Who aborted (PS3.8 table 9-26)."""

    SERVICE_USER = 0
    SERVICE_PROVIDER = 2


class AbortReason(IntEnum):
    """Why the service provider aborted (PS3.8 table 9-26)."""

    NOT_SPECIFIED = 0
    UNRECOGNIZED_PDU = 1
    UNEXPECTED_PDU = 2
    UNRECOGNIZED_PARAMETER = 4
    UNEXPECTED_PARAMETER = 5
    INVALID_PARAMETER = 6


class Breach(Exception):
    """The peer broke the protocol: the association ends with A-ABORT. The message is for the journal."""

    def __init__(
        self, why: str, reason: AbortReason = AbortReason.NOT_SPECIFIED, cause: Cause = Cause.PROTOCOL
    ) -> None:
        super().__init__(advised(why, cause))
        self.reason = reason


RELEASE_RP = _FOUR_BYTES.pack(PduType.RELEASE_RP, 4, 0, 0, 0, 0)

COMMAND, LAST = 1, 2
"""Bits of a message control header (PS3.8 annex E.2)."""


def abort(source: AbortSource, reason: AbortReason) -> bytes:
    """A-ABORT."""
    return _FOUR_BYTES.pack(PduType.ABORT, 4, 0, 0, source, reason)


def reject(result: int, source: int, reason: int) -> bytes:
    """A-ASSOCIATE-RJ (PS3.8 table 9-21)."""
    return _FOUR_BYTES.pack(PduType.ASSOCIATE_RJ, 4, 0, result, source, reason)


def values(body: memoryview) -> Iterator[tuple[int, int, memoryview]]:
    """Context id, control header and fragment of each presentation data value in a P-DATA-TF; Breach where they lie.

    The fragments are views of the body, valid as long as it is.
    """
    place, end = 0, len(body)
    if not end:
        raise Breach("a P-DATA-TF came without a value", AbortReason.INVALID_PARAMETER)
    while place < end:
        if end - place < _VALUE_HEAD.size:
            raise Breach("a P-DATA-TF ends within a value's head", AbortReason.INVALID_PARAMETER)
        length, context_id, control = _VALUE_HEAD.unpack_from(body, place)
        after = place + 4 + length
        if length < 2 or after > end:
            raise Breach(f"a value of {length} bytes is not within its P-DATA-TF", AbortReason.INVALID_PARAMETER)
        yield context_id, control, body[place + 6 : after]
        place = after


def p_data(context_id: int, control: int, content: bytes, largest: int) -> bytes:
    """P-DATA-TFs that carry a command or a data set; none is longer than the peer takes (0: as long as one likes)."""
    room = max(largest - _VALUE_HEAD.size, 1) if largest else len(content)
    pieces = [content[start : start + room] for start in range(0, len(content), room)]
    return b"".join(
        HEAD.pack(PduType.P_DATA_TF, len(piece) + 6)
        + _VALUE_HEAD.pack(len(piece) + 2, context_id, control | (LAST if number == len(pieces) else 0))
        + piece
        for number, piece in enumerate(pieces, 1)
    )
