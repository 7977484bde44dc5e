"""Encodes data sets element by element, malformed ones too; no library stands between a test and the bytes."""

import struct
from typing import Final

CT_IMAGE: Final = "1.2.840.10008.5.1.4.1.1.2"
IMPLICIT: Final = "1.2.840.10008.1.2"
EXPLICIT: Final = "1.2.840.10008.1.2.1"
DEFLATED: Final = "1.2.840.10008.1.2.1.99"
BIG_ENDIAN: Final = "1.2.840.10008.1.2.2"
JPEG_LOSSLESS: Final = "1.2.840.10008.1.2.4.70"
UNDEFINED: Final = 0xFFFFFFFF
STUDY: Final = "1.2.826.0.1.3680043.8.498.1"
SERIES: Final = "1.2.826.0.1.3680043.8.498.2"
INSTANCE: Final = "1.2.826.0.1.3680043.8.498.3"

LONG = (b"OB", b"OW", b"SQ", b"UN", b"UT", b"UC", b"UR", b"OD", b"OF", b"OL", b"OV", b"SV", b"UV")


def element(tag: int, vr: str, value: str | bytes, syntax: str = EXPLICIT, length: int | None = None) -> bytes:
    """One element; `length` declares another length than the value has."""
    content = value.encode("latin-1") if isinstance(value, str) else value
    if len(content) % 2:
        content += b"\0" if vr in ("UI", "OB") else b" "
    declared = len(content) if length is None else length
    order = ">" if syntax == BIG_ENDIAN else "<"
    group, number, code = tag >> 16, tag & 0xFFFF, vr.encode()
    if syntax == IMPLICIT:
        return struct.pack("<HHI", group, number, declared) + content
    if code in LONG:
        return struct.pack(f"{order}HH2s2xI", group, number, code, declared) + content
    return struct.pack(f"{order}HH2sH", group, number, code, declared) + content


def item(content: bytes = b"", length: int | None = None, order: str = "<") -> bytes:
    """An item; of undefined length it is closed by its delimiter."""
    head = struct.pack(f"{order}HHI", 0xFFFE, 0xE000, len(content) if length is None else length)
    return head + content + (struct.pack(f"{order}HHI", 0xFFFE, 0xE00D, 0) if length == UNDEFINED else b"")


def sequence_end(order: str = "<") -> bytes:
    """The Sequence Delimitation Item."""
    return struct.pack(f"{order}HHI", 0xFFFE, 0xE0DD, 0)


def ct(
    *,
    instance: str = INSTANCE,
    study: str = STUDY,
    series: str = SERIES,
    sop_class: str = CT_IMAGE,
    pixels: bytes = bytes(range(256)) * 8,
    syntax: str = EXPLICIT,
    extra: bytes = b"",
) -> bytes:
    """A small CT data set; `extra` comes before the pixel data."""
    return (
        element(0x00080016, "UI", sop_class, syntax)
        + element(0x00080018, "UI", instance, syntax)
        + element(0x00080050, "SH", "A1", syntax)
        + element(0x00080060, "CS", "CT", syntax)
        + element(0x00100010, "PN", "Test^Patient", syntax)
        + element(0x00100020, "LO", "P1", syntax)
        + element(0x0020000D, "UI", study, syntax)
        + element(0x0020000E, "UI", series, syntax)
        + extra
        + element(0x7FE00010, "OW", pixels, syntax)
    )
