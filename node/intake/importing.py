"""Takes instances from files through the same door as from associations."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from node.errors import IntakeError, NotSupported, Unreadable
from node.intake.door import Door, Offer, Taken
from node.intake.negotiation import STORAGE_CLASSES, TRANSFER_SYNTAXES
from node.intake.status import STORED, Answer, answer_to
from node.state.files import files_below, unread
from node.state.spool import Origin

CALLING_AE = "IMPORT"
CHUNK_BYTES = 1 << 20
MAX_META_BYTES = 1 << 16
_HEAD = struct.Struct("<HH2sH")
_LONG_VRS = frozenset((b"OB", b"OW", b"UN", b"UT", b"SQ", b"OF", b"OD", b"OL", b"OV", b"UC", b"UR"))
MEDIA_STORAGE_SOP_CLASS_UID: Final = 0x0002
MEDIA_STORAGE_SOP_INSTANCE_UID: Final = 0x0003
TRANSFER_SYNTAX_UID: Final = 0x0010


@dataclass(frozen=True)
class Imported:
    """What became of one file. why: empty where it was taken."""

    path: Path
    answer: Answer
    why: str = ""


def import_files(door: Door, path: Path, origin: Origin) -> Iterator[Imported]:
    """Take every instance of a file or folder, one after another; what is not taken is told with the answer that a
    sender would have got. Importing again what is there changes nothing."""
    files, closed = files_below(path)
    for file in files:
        try:
            import_file(door, file, origin)
            yield Imported(file, STORED)
        except IntakeError as error:
            yield Imported(file, answer_to(error), str(error))
        except OSError as error:  # of the file: what goes wrong with the spool is an IntakeError
            yield _unread(file, error)
    for fault in closed:
        yield _unread(Path(fault.filename), fault)


def _unread(path: Path, error: OSError) -> Imported:
    return Imported(path, answer_to(Unreadable("")), unread(error))


def import_file(door: Door, path: Path, origin: Origin) -> Taken:
    """Take the instance of a Part 10 file. Raises a leaf of IntakeError.

    Its preamble and file meta information are dropped and written anew: a preamble may hold a program or another
    file (CVE-2019-11687).
    """
    with path.open("rb") as file:
        meta = read_meta(file)
        sop_class_uid = meta.get(MEDIA_STORAGE_SOP_CLASS_UID, "")
        syntax = meta.get(TRANSFER_SYNTAX_UID, "")
        if sop_class_uid not in STORAGE_CLASSES:
            raise NotSupported(f"class {sop_class_uid[:64]!a} is not one that is stored (a DICOMDIR is none either)")
        if syntax not in TRANSFER_SYNTAXES:
            raise NotSupported(f"transfer syntax {syntax[:64]!a} is not one that is taken")
        offer = Offer(
            sop_class_uid=sop_class_uid,
            sop_instance_uid=meta.get(MEDIA_STORAGE_SOP_INSTANCE_UID, ""),
            abstract_syntax_uid=sop_class_uid,
            transfer_syntax_uid=syntax,
            origin=origin,
            refuse_conflict=False,
        )
        with door.enter(offer) as passage:
            while chunk := file.read(CHUNK_BYTES):
                passage.write(chunk)
            return passage.finish()


def read_meta(file: BinaryIO) -> dict[int, str]:
    """The UIDs of the file meta information; `file` then stands at its data set. Raises Unreadable (PS3.10 7.1)."""
    if file.read(132)[128:] != b"DICM":
        raise Unreadable("it is no DICOM file: it lacks the prefix DICM")
    found: dict[int, str] = {}
    while file.tell() < MAX_META_BYTES:
        head = file.read(_HEAD.size)
        if len(head) < _HEAD.size:
            raise Unreadable("it ends within its file meta information")
        group, element, vr, length = _HEAD.unpack(head)
        if group != 0x0002:
            file.seek(-len(head), 1)
            return found
        if vr in _LONG_VRS:
            (length,) = struct.unpack("<I", file.read(4).ljust(4, b"\xff"))
        if length > MAX_META_BYTES:
            break
        value = file.read(length)
        if vr == b"UI":
            found[element] = value.decode("latin-1").strip(" \0")
    raise Unreadable(f"its file meta information is longer than {MAX_META_BYTES} bytes, or damaged")
