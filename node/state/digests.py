"""SHA-256 digests of a file's data set and of its pixels."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from node.state.file_meta import skip_meta
from node.state.part10 import Part10, PixelElement, opened

CHUNK_BYTES = 1 << 16
"""Small enough to stay in a processor's cache between two digests of it."""


@dataclass(frozen=True)
class Digests:
    """In hex. data_set: of its bytes as they lie in the file, file meta aside. pixels: of the pixel element's value as
    it lies there, the same in Implicit and Explicit VR; None where there is none, or a deflated one is too large to be
    had whole.

    A sender may write a data set anew in another VR encoding, which changes its bytes and nothing it says: the digest
    of the pixels stays.
    """

    data_set: str
    pixels: str | None


def digests_of(found: Part10) -> Digests:
    """Both, of an open file, in one reading where it is not deflated."""
    data_set, pixels = hashlib.sha256(), hashlib.sha256()
    value = found.pixels if found.whole else None
    is_deflated = found.stream is not found.file
    for place, chunk in _chunks(found.file, skip_meta(found.file)):
        data_set.update(chunk)
        if value and not is_deflated:
            pixels.update(_within(value, place, chunk))
    if value and is_deflated:
        for place, chunk in _chunks(found.stream, found.stream.seek(value.offset)):
            pixels.update(_within(value, place, chunk))
    return Digests(data_set.hexdigest(), pixels.hexdigest() if value else None)


def pixels_sha256(path: Path) -> str | None:
    """The digest of a file's pixels. Raises Unreadable as state.header does."""
    with opened(path, []) as found:
        return digests_of(found).pixels


def data_set_sha256(path: Path) -> str:
    """The digest of the data set of a file, whatever it holds."""
    with path.open("rb") as file:
        skip_meta(file)
        return hashlib.file_digest(file, "sha256").hexdigest()


def _chunks(file: BinaryIO, place: int) -> Iterator[tuple[int, memoryview]]:
    """The rest of a file with the place of each piece in it; a piece is valid until the next one."""
    view = memoryview(bytearray(CHUNK_BYTES))
    while got := file.readinto(view):  # type: ignore[attr-defined]
        yield place, view[:got]
        place += got


def _within(pixels: PixelElement, place: int, chunk: memoryview) -> memoryview:
    """The part of a piece that belongs to the pixel element's value; an encapsulated one reaches to the end."""
    first = max(pixels.offset - place, 0)
    return chunk[first:] if pixels.is_encapsulated else chunk[first : max(pixels.offset + pixels.length - place, first)]
