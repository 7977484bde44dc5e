"""Writes Part 10 files whose file meta may say anything; DCMTK and pynetdicom send them as they are."""

import struct
from pathlib import Path

from tests.makers.elements import CT_IMAGE, EXPLICIT, INSTANCE, element


def part10(
    path: Path, data_set: bytes, *, instance: str = INSTANCE, sop_class: str = CT_IMAGE, syntax: str = EXPLICIT
) -> Path:
    """A file of that data set; UIDs and syntax are what a sender will announce."""
    group = (
        element(0x00020001, "OB", b"\0\1")
        + element(0x00020002, "UI", sop_class)
        + element(0x00020003, "UI", instance)
        + element(0x00020010, "UI", syntax)
        + element(0x00020012, "UI", "1.2.826.0.1.3680043.8.498.9")
    )
    path.write_bytes(bytes(128) + b"DICM" + element(0x00020000, "UL", struct.pack("<I", len(group))) + group + data_set)
    return path


def data_set_of(path: Path) -> bytes:
    """The data set's bytes of a Part 10 file, found by its group length."""
    content = path.read_bytes()
    return content[144 + struct.unpack_from("<I", content, 140)[0] :]
