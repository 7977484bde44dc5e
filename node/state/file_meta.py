"""The file meta information with which instances lie in the spool."""

import json
import struct
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO

from node import __version__
from node.core.identity import ClassUID, InstanceUID, derived_uid
from node.errors import Unreadable

IMPLEMENTATION_CLASS_UID = derived_uid("implementation-class")
IMPLEMENTATION_VERSION_NAME = f"ISOCENTER_{__version__}"[:16]
ORIGIN_UID = derived_uid("private-information", "origin")
"""Private Information Creator UID (0002,0100): says that (0002,0102) holds the rest of an Origin as JSON."""

MOST_BYTES = 1 << 16
"""Far more than what `encode_meta` writes."""
_PREAMBLE = bytes(128) + b"DICM"
_GROUP_LENGTH = struct.Struct("<HH2sHI")
_HEAD, _LENGTH = struct.Struct("<HH2sH"), struct.Struct("<I")
_REST = 0x0102
"""The element that holds the rest of an Origin."""


@dataclass(frozen=True)
class Origin:
    """How an instance came to the node. peer: its name in peers.toml, empty where the caller is not listed there."""

    calling_ae: str
    called_ae: str
    address: str
    association_id: str
    peer: str
    received_at: datetime


@dataclass(frozen=True)
class SpoolMeta(Origin):
    """What the file meta information of a file in the spool says."""

    sop_class_uid: ClassUID
    sop_instance_uid: InstanceUID
    transfer_syntax_uid: str


def encode_meta(meta: SpoolMeta) -> bytes:
    """Preamble, prefix and file meta information (PS3.10 section 7.1); the data set's bytes follow it unchanged."""
    rest = {
        "association": meta.association_id,
        "address": meta.address,
        "peer": meta.peer,
        "received_at": meta.received_at.isoformat(),
    }
    before, between = _of_association(meta.sop_class_uid, meta.transfer_syntax_uid, meta.calling_ae, meta.called_ae)
    group = b"".join(
        (
            before,
            _element(0x0003, b"UI", meta.sop_instance_uid),
            between,
            _element(_REST, b"OB", json.dumps(rest, separators=(",", ":"))),
        )
    )
    return _PREAMBLE + _GROUP_LENGTH.pack(0x0002, 0x0000, b"UL", 4, len(group)) + group


@lru_cache(maxsize=64)
def _of_association(
    sop_class_uid: str, transfer_syntax_uid: str, calling_ae: str, called_ae: str
) -> tuple[bytes, bytes]:
    """What is the same in all files of a presentation context: the elements before and after the instance's UID."""
    before = _VERSION + _element(0x0002, b"UI", sop_class_uid)
    between = (
        _element(0x0010, b"UI", transfer_syntax_uid),
        _IMPLEMENTATION,
        _element(0x0016, b"AE", calling_ae),
        _element(0x0017, b"AE", calling_ae),
        _element(0x0018, b"AE", called_ae),
        _ORIGIN,
    )
    return before, b"".join(between)


def _element(number: int, vr: bytes, value: str | bytes) -> bytes:
    """One element of group 0002 in Explicit VR Little Endian, padded to even length."""
    content = value.encode("ascii", "replace") if isinstance(value, str) else value
    if len(content) % 2:
        content += b"\0" if vr in (b"UI", b"OB") else b" "
    if vr == b"OB":
        return _HEAD.pack(0x0002, number, vr, 0) + _LENGTH.pack(len(content)) + content
    return _HEAD.pack(0x0002, number, vr, len(content)) + content


# What is the same in every file.
_VERSION = _element(0x0001, b"OB", b"\x00\x01")
_IMPLEMENTATION = _element(0x0012, b"UI", IMPLEMENTATION_CLASS_UID) + _element(
    0x0013, b"SH", IMPLEMENTATION_VERSION_NAME
)
_ORIGIN = _element(0x0100, b"UI", ORIGIN_UID)


def read_meta(path: Path) -> SpoolMeta:
    """The file meta information of a file that this node published; nothing beyond it is read.

    Raises Unreadable where the file was not written by this node or is damaged, FileNotFoundError where it is gone.
    """
    try:
        found = _own_elements(path)
        text = {number: value.decode("ascii").strip(" \0") for number, value in found.items() if number != _REST}
        rest = json.loads(found[_REST].rstrip(b"\0"))
        return SpoolMeta(
            calling_ae=text[0x0016],
            called_ae=text[0x0018],
            address=str(rest["address"]),
            association_id=str(rest["association"]),
            peer=str(rest["peer"]),
            received_at=datetime.fromisoformat(rest["received_at"]),
            sop_class_uid=ClassUID(text[0x0002]),
            sop_instance_uid=InstanceUID(text[0x0003]),
            transfer_syntax_uid=text[0x0010],
        )
    except (KeyError, ValueError, TypeError, struct.error) as error:
        raise Unreadable(f"{path} has no file meta information of this node: it was changed on disk") from error


def _own_elements(path: Path) -> dict[int, bytes]:
    """What lies within the declared length: elements that a data set begins with would be taken for more of it."""
    with path.open("rb") as file:
        end = skip_meta(file)
        if not end or end > MOST_BYTES:
            raise ValueError("no file meta information, or far too much")
        first = len(_PREAMBLE) + _GROUP_LENGTH.size
        file.seek(first)
        content = file.read(end - first)
    found, place = dict[int, bytes](), 0
    while place < len(content):
        _, number, vr, length = _HEAD.unpack_from(content, place)
        place += _HEAD.size
        if vr == b"OB":
            (length,) = _LENGTH.unpack_from(content, place)
            place += _LENGTH.size
        found[number] = content[place : place + length]
        place += length
    return found


def skip_meta(file: BinaryIO) -> int:
    """Place `file` on the first byte of its data set and give that offset; 0 where it has no file meta."""
    file.seek(0)
    head = file.read(len(_PREAMBLE) + _GROUP_LENGTH.size)
    if len(head) < len(_PREAMBLE) + _GROUP_LENGTH.size or not head.startswith(_PREAMBLE):
        return file.seek(0)
    return file.seek(len(head) + int(_GROUP_LENGTH.unpack_from(head, len(_PREAMBLE))[4]))
