"""Reads what a compressed frame says of its own size, or comes to, before a decoder believes its header."""

import struct
from dataclasses import dataclass
from itertools import pairwise

from pydicom import uid

SOI, EOI = b"\xff\xd8", b"\xff\xd9"
START_OF_J2K = b"\xff\x4f\xff\x51"
JP2_BOXES = 4096
"""Bytes of JP2 boxes, which DICOM forbids but some writers leave, in which the codestream's start is looked for."""

STANDALONE = {0x01, *range(0xD0, 0xD8)}
FRAME_HEADERS = {*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC}
"""SOF markers of ISO 10918-1 table B.1, and SOF55 of JPEG-LS (ISO 14495-1 annex C)."""

JPEG_2000 = {*uid.JPEG2000TransferSyntaxes, uid.HTJ2K, uid.HTJ2KLossless, uid.HTJ2KLosslessRPCL}
JPEG = {*uid.JPEGTransferSyntaxes, *uid.JPEGLSTransferSyntaxes}


@dataclass(frozen=True)
class DeclaredFrame:
    """Rows, columns, components and bits per component, as the codestream's header declares them.

    is_signed: of JPEG 2000; the others say nothing of it.
    """

    rows: int
    columns: int
    components: int
    bits: int
    is_signed: bool = False


def declared_frame(data: bytes, transfer_syntax_uid: str) -> DeclaredFrame | None:
    """What one frame's codestream declares; None where the coding has no header of its own (RLE).

    Raises ValueError where there is no header, or where the codestream ends before its end marker: some decoders
    fill what is missing with invented pixels.
    """
    if transfer_syntax_uid not in JPEG_2000 | JPEG:
        return None
    end = data.rstrip(b"\0")
    if not end.endswith(EOI) and not end[:-1].endswith(EOI):  # the byte that makes it even is not 0 from everybody
        raise ValueError("the codestream is truncated: its end marker is missing")
    return _jpeg_2000(data) if transfer_syntax_uid in JPEG_2000 else _jpeg(data)


def rle_lengths(data: bytes) -> tuple[int, ...]:
    """How many bytes each segment of a frame in RLE comes to (PS3.5 annex G). Raises struct.error without a header."""
    count, *offsets = struct.unpack_from("<16L", data)
    begins = [*offsets[: min(count, len(offsets))], len(data)]
    return tuple(_unpacked(data, begin, min(end, len(data))) for begin, end in pairwise(begins))


def _unpacked(data: bytes, at: int, end: int) -> int:
    length = 0
    while at < end:
        control = data[at]
        if control < 128:  # so many bytes and one more, as they are
            length += min(control + 1, end - at - 1)
            at += control + 2
        elif control > 128:  # one byte, again and again
            length += 257 - control
            at += 2
        else:
            at += 1
    return length


def _jpeg_2000(data: bytes) -> DeclaredFrame:
    """The SIZ segment (ISO 15444-1 A.5.1), which is always the first."""
    start = data.find(START_OF_J2K, 0, JP2_BOXES)
    if start < 0 or len(data) < start + 43:
        raise ValueError("the codestream does not start with a JPEG 2000 header")
    right, bottom, left, top = struct.unpack_from(">4L", data, start + 8)
    (components,) = struct.unpack_from(">H", data, start + 40)
    depth = data[start + 42]
    return DeclaredFrame(bottom - top, right - left, components, (depth & 0x7F) + 1, is_signed=depth > 0x7F)


def _jpeg(data: bytes) -> DeclaredFrame:
    """The frame header, found by stepping from marker to marker (ISO 10918-1 B.1.1, B.2.2)."""
    if not data.startswith(SOI):
        raise ValueError("the codestream does not start with a JPEG header")
    at = len(SOI)
    while at + 10 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF or marker in STANDALONE:
            at += 1 if marker == 0xFF else 2
            continue
        (length,) = struct.unpack_from(">H", data, at + 2)
        if marker in FRAME_HEADERS:
            bits, rows, columns, components = struct.unpack_from(">BHHB", data, at + 4)
            return DeclaredFrame(rows, columns, components, bits)
        at += 2 + max(length, 2)
    raise ValueError("the codestream has no JPEG frame header")
