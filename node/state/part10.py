"""Opens one DICOM file up to its pixel data, within limits of bytes, work and inflated size."""

import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from struct import error as StructError  # noqa: N812 - the library's own name says nothing
from typing import BinaryIO, cast

from pydicom import uid
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.filereader import read_dataset, read_preamble
from pydicom.tag import BaseTag, Tag

from node.errors import Unreadable
from node.state.attributes import UNDEFINED_LENGTH, Attributes

HEADER_BYTES = 64 << 20
"""Bytes of a header that are read at most (skipped elements not counted): ten times the largest seen."""

HEADER_READS = 1_000_000
"""Read calls a header may cost: every item and element takes one or two, so this bounds time and memory."""

DEFLATED_PIECE_BYTES = 1 << 20
"""Of a deflated file as much is held at a time: it may be as large as an instance may be."""

PIXEL_TAGS = {0x7FE00010: "PixelData", 0x7FE00008: "FloatPixelData", 0x7FE00009: "DoubleFloatPixelData"}

CHARACTER_SET: list[BaseTag | int] = [Tag("SpecificCharacterSet")]
"""Read in any case; named where nothing else is, since to pydicom an empty list means everything."""

ELEMENT_HEAD_BYTES = 8
"""What pydicom asks for to see whether another element follows; that read may find nothing, or padding."""

PARSE_ERRORS = (
    InvalidDicomError,  # no preamble, no DICM
    BytesLengthException,  # a number in more or fewer bytes than its representation has
    RecursionError,  # sequences nested hundreds deep
    StructError,  # an element or item cut off in the middle of its head
    zlib.error,  # a deflated data set that is not one
    OSError,  # a sequence whose items do not start with an item tag (pydicom's word; without errno)
    NotImplementedError,  # a value representation that does not exist
    ValueError,  # a character set that is no text
    TypeError,  # a character set of numbers, names or items
)
"""What pydicom was seen to raise on broken headers: tests/property/test_hostile_files.py keeps looking."""


@dataclass(frozen=True)
class PixelElement:
    """Where the pixels lie: keyword, VR (None in implicit VR), offset of the value, its length in bytes."""

    keyword: str
    vr: str | None
    offset: int
    length: int

    @property
    def is_encapsulated(self) -> bool:
        return self.length == UNDEFINED_LENGTH


@dataclass(frozen=True)
class Part10:
    """An open file: its header, and a stream in which `pixels.offset` holds; the file itself where nothing is deflated.

    whole: False where a deflated data set was cut at the limit; then `stream` ends early.
    """

    transfer_syntax_uid: uid.UID
    header: Attributes
    file: BinaryIO
    stream: BinaryIO
    pixels: PixelElement | None
    whole: bool


def tags_of(keywords: str) -> list[BaseTag | int]:
    """The tags of keywords written one after the other, with blanks between them."""
    return [Tag(keyword) for keyword in keywords.split()]


@contextmanager
def opened(path: Path, tags: list[BaseTag | int], *, inflated_bytes: int = HEADER_BYTES) -> Iterator[Part10]:
    """Open a Part 10 file and read the elements named by `tags` (and the character set) before its pixels.

    inflated_bytes: how much of a deflated data set is inflated at most.
    Raises Unreadable for whatever is no readable DICOM header, OSError where the file itself cannot be opened.
    """
    with path.open("rb") as file:
        try:
            found = _parsed(cast(BinaryIO, file), path.stat().st_size, tags, inflated_bytes)
        except PARSE_ERRORS as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise  # the disk's fault, not the file's
            raise Unreadable(f"the header cannot be parsed: {_in_words(error)}") from error
        yield found


def read_attributes(content: bytes, transfer_syntax_uid: str, keywords: str) -> Attributes:
    """Named attributes of a data set that is no file, such as a message's, in an uncompressed syntax.

    Raises Unreadable.
    """
    limited = cast(BinaryIO, _LimitedReader(BytesIO(content), len(content)))
    implicit = transfer_syntax_uid == uid.ImplicitVRLittleEndian
    try:
        found = Attributes(read_dataset(limited, implicit, True, specific_tags=tags_of(keywords)))
    except PARSE_ERRORS as error:
        raise Unreadable(f"the data set cannot be parsed: {_in_words(error)}") from error
    if found.is_cut_short:
        raise Unreadable("the data set is truncated: its last value is shorter than declared")
    return found


def _in_words(error: Exception) -> str:
    """What broke, without the file's content: library messages may quote values, and values may name a patient."""
    if isinstance(error, RecursionError):
        return "its sequences are nested too deeply"
    if isinstance(error, InvalidDicomError):
        return "it is no DICOM file (the DICM prefix is missing)"
    return f"{type(error).__name__} where an element was expected"


def _parsed(file: BinaryIO, size: int, tags: list[BaseTag | int], inflated_bytes: int) -> Part10:
    limited = _LimitedReader(file, size)
    stream = cast(BinaryIO, limited)
    read_preamble(stream, force=False)
    meta = Attributes(read_dataset(stream, False, True, stop_when=_after_file_meta, specific_tags=[0x00020010]))
    syntax = uid.UID(meta.uid("TransferSyntaxUID") or "")
    if not syntax:
        raise Unreadable("the file meta information names no transfer syntax", 0x00020010)
    whole, source = True, file
    if syntax == uid.DeflatedExplicitVRLittleEndian:
        source, size, whole = _inflated(file, inflated_bytes)
        limited = _LimitedReader(source, size)
        stream = cast(BinaryIO, limited)
    seen: list[PixelElement] = []

    def at_pixels(tag: BaseTag, vr: str | None, length: int) -> bool:
        if tag in PIXEL_TAGS:
            seen.append(PixelElement(PIXEL_TAGS[tag], vr, stream.tell(), length))
        return tag in PIXEL_TAGS

    implicit = syntax == uid.ImplicitVRLittleEndian
    little = syntax != uid.ExplicitVRBigEndian
    header = Attributes(
        read_dataset(stream, implicit, little, stop_when=at_pixels, specific_tags=tags or CHARACTER_SET)
    )
    if header.is_cut_short:
        raise Unreadable("the header is truncated: its last value is shorter than declared")
    pixels = seen[-1] if seen else None
    if pixels and whole and not pixels.is_encapsulated and pixels.offset + pixels.length > size:
        raise Unreadable(
            f"the file is truncated: {pixels.keyword} is declared with {pixels.length} bytes, "
            f"{size - pixels.offset} are there",
            0x7FE00010,
        )
    return Part10(syntax, header, file, source, pixels, whole)


def _after_file_meta(tag: BaseTag, vr: str | None, length: int) -> bool:  # noqa: ARG001 - pydicom's signature
    return tag >> 16 != 2


def _inflated(file: BinaryIO, limit: int) -> tuple[BinaryIO, int, bool]:
    """The rest of the file inflated up to the limit: the stream, its size, and whether it is whole."""
    inflater, data = zlib.decompressobj(-zlib.MAX_WBITS), BytesIO()
    while not inflater.eof and data.tell() < limit:
        piece = inflater.unconsumed_tail or file.read(DEFLATED_PIECE_BYTES)
        if not piece:
            break
        data.write(inflater.decompress(piece, limit - data.tell()))
    size = data.tell()
    data.seek(0)
    return data, size, inflater.eof


class _LimitedReader:
    """Reads a stream for pydicom: never more than is there, than HEADER_BYTES, or than HEADER_READS times."""

    def __init__(self, stream: BinaryIO, size: int) -> None:
        self._stream = stream
        self._size = size
        self._bytes_left = HEADER_BYTES
        self._reads_left = HEADER_READS
        self.tell = stream.tell

    def read(self, count: int = -1) -> bytes:
        if not 0 <= count <= self._size:  # asked before reading: the stream would allocate what is declared
            raise Unreadable(f"a value of {count} bytes is declared in a file of {self._size}")
        self._reads_left -= 1
        self._bytes_left -= count
        if self._reads_left < 0 or self._bytes_left < 0:
            raise Unreadable(f"the header is larger than {HEADER_BYTES >> 20} MiB or {HEADER_READS} items and elements")
        found = self._stream.read(count)
        if len(found) < count and (count != ELEMENT_HEAD_BYTES or found.strip(b"\0")):
            raise Unreadable(f"the header is truncated: of {count} bytes {len(found)} are there")
        return found

    def seek(self, offset: int, whence: int = 0) -> int:
        if whence == 0 and offset > self._size:
            raise Unreadable(f"the header is truncated: an element ends {offset - self._size} bytes after the file")
        return self._stream.seek(offset, whence)
