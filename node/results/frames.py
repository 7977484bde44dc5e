"""Frames of a Segmentation: their functional groups and pixels, from what the library made of each slice once.

Of a slice that many segments reach, the frames differ in the segment's number and the pixels alone. Functional groups
that frames share are encoded once and joined, where the library would make every group of every frame anew.
"""

import struct
from collections.abc import Iterator, Sequence
from io import BytesIO

import numpy as np
import numpy.typing as npt
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.tag import Tag

from ai.findings import Mask

Areas = npt.NDArray[np.intp]

ITEM = b"\xfe\xff\x00\xe0"
GROUPS = Tag("PerFrameFunctionalGroupsSequence")
PACKED_TOGETHER = 8
"""So many frames fill whole bytes, whatever their size."""


def put_frames(result: Dataset, slices: Sequence[tuple[int, Dataset]], masks: Sequence[Mask], areas: Areas) -> None:
    """Give a BINARY segmentation a frame for each segment on each slice that it reaches, segment by segment.

    slices: index and functional groups of each slice that any segment reaches, in the order of the frames.
    areas: (segments, slices). Call it last: the groups are kept as bytes, which is how the writer takes them.
    """
    frames = [(number, index) for number in range(len(masks)) for index, _ in slices if areas[number, index]]
    result.NumberOfFrames = len(frames)
    result.PixelData = _bits([masks[number][index] for number, index in frames])
    if len(masks) == 1:
        return  # the one segment stands in the shared groups, so that the library's are whole
    value = b"".join(_items(frames, slices))
    result[GROUPS] = RawDataElement(GROUPS, "SQ", len(value), value, 0, False, True)


def _items(frames: Sequence[tuple[int, int]], slices: Sequence[tuple[int, Dataset]]) -> Iterator[bytes]:
    """The functional groups of each frame: those of its slice, with its segment and the place of the slice put in.

    Both stand last in their groups, which are of the same length for all: two numbers of four bytes, and one of two.
    """
    _, first = slices[0]
    content, segment = _encoded(first, "FrameContentSequence"), _encoded(first, "SegmentIdentificationSequence")
    shared = {
        index: (place, _encoded(item, "DerivationImageSequence"), _encoded(item, "PlanePositionSequence"))
        for place, (index, item) in enumerate(slices, 1)
    }
    for number, index in frames:
        place, derivation, position = shared[index]
        indexed = content[:-8] + struct.pack("<2L", number + 1, place)
        identified = segment[:-2] + struct.pack("<H", number + 1)
        item = derivation + indexed + position + identified
        yield ITEM + struct.pack("<L", len(item)) + item


def _encoded(item: Dataset, keyword: str) -> bytes:
    one, buffer = Dataset(), DicomBytesIO()
    one[keyword] = item[keyword]
    buffer.is_implicit_VR, buffer.is_little_endian = False, True
    write_dataset(buffer, one)
    return buffer.getvalue()


def _bits(planes: Sequence[Mask]) -> BytesIO:
    """One-bit pixels; frames follow one another without padding (PS3.5 section 8.1.1)."""
    step = 1 if planes[0].size % 8 == 0 else PACKED_TOGETHER
    pixels = BytesIO()
    for at in range(0, len(planes), step):
        together = planes[at] if step == 1 else np.stack(planes[at : at + step])
        pixels.write(np.packbits(together, bitorder="little").data)
    pixels.write(b"\0" * (pixels.tell() % 2))
    pixels.seek(0)
    return pixels
