"""Decodes single frames of one open file into stored values, once its declarations agree with each other."""

import math
import mmap
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Any, BinaryIO, cast

import numpy as np
import numpy.typing as npt
from pydicom import uid
from pydicom.encaps import encapsulate, generate_frames
from pydicom.pixels.decoders.base import get_decoder

from node.errors import ReasonCode, Refused
from node.jobs.codestream import JPEG, DeclaredFrame, declared_frame, rle_lengths
from node.state.attributes import Attributes
from node.state.part10 import Part10, PixelElement, tags_of

TAGS = tags_of(
    "SamplesPerPixel PhotometricInterpretation NumberOfFrames Rows Columns BitsAllocated BitsStored HighBit "
    "PixelRepresentation"
)
"""What describes the pixels; part10.opened must have read them."""

FRAME_PIXELS = 1 << 26
"""The largest frame that is decoded, 8192 x 8192: twice the largest mammogram, and 128 MiB of 16-bit values."""

JPEG_BITS = 16
"""GDCM ends its process where an image of more is said to be in JPEG."""

RLE_FILLING = 16
"""Bytes that some writers have at the end of a segment in RLE, beyond the one that makes it even."""

NEAR_AN_END = 3
"""An eighth of the values below 0, or above it, is as far as a compression that is not exact may go astray."""

GREYSCALE = ("MONOCHROME1", "MONOCHROME2")
BITS_ALLOCATED = {"PixelData": (8, 16, 32), "FloatPixelData": (32,), "DoubleFloatPixelData": (64,)}

NATIVE = {
    uid.ImplicitVRLittleEndian,
    uid.ExplicitVRLittleEndian,
    uid.DeflatedExplicitVRLittleEndian,
    uid.ExplicitVRBigEndian,
}

LOSSLESS = {
    uid.RLELossless,
    uid.JPEGLosslessSV1,
    uid.JPEGLossless,
    uid.JPEGLSLossless,
    uid.JPEG2000Lossless,
    uid.HTJ2KLossless,
    uid.HTJ2KLosslessRPCL,
}
"""Whose values are those that were compressed: others may go beyond the bits that are stored, where an edge rings."""

PLUGINS: dict[str, str] = {
    uid.JPEGBaseline8Bit: "pillow",
    uid.JPEGExtended12Bit: "gdcm",
    uid.JPEGLossless: "gdcm",
    uid.JPEGLosslessSV1: "gdcm",
    uid.JPEGLSLossless: "pyjpegls",
    uid.JPEGLSNearLossless: "pyjpegls",
    uid.JPEG2000Lossless: "pylibjpeg",
    uid.JPEG2000: "pylibjpeg",
    uid.HTJ2KLossless: "pylibjpeg",
    uid.HTJ2KLosslessRPCL: "pylibjpeg",
    uid.HTJ2K: "pylibjpeg",
    uid.RLELossless: "pydicom",  # slower than pylibjpeg-rle, which panics in Rust on broken data
}
"""One decoder for each compressed transfer syntax, never "whichever answers": decoders differ in what they make of
broken data, and one of those pydicom would try returns invented pixels. JPEG Extended is decoded with 8 bits; with 12,
which no permissively licensed decoder here knows, it is refused.

GDCM is told that all allocated bits of a lossless frame are stored, and those that are not are taken off afterwards:
where fewer than eight of eight are, it ends its process."""

DECODE_ERRORS = (
    RuntimeError,  # every fault of a decoding plug-in, wrapped by pydicom
    ValueError,  # fragments or a frame that do not have the declared size
    NotImplementedError,  # a transfer syntax nobody decodes (video)
    AttributeError,  # a description of the pixels that is missing
    TypeError,  # a description of the wrong kind
    EOFError,  # encapsulation that ends before its delimiter
    struct.error,  # a fragment's head that is cut off
    StopIteration,  # fewer frames than declared
)
"""What pydicom and its plug-ins raise on pixel data they cannot decode."""


@dataclass(frozen=True)
class PixelLayout:
    """How the stored values lie in their element (PS3.3 C.7.6.3)."""

    rows: int
    columns: int
    frames: int
    bits_allocated: int
    bits_stored: int
    is_signed: bool
    photometric: str
    keyword: str = "PixelData"
    """Of the element that they are in."""

    @property
    def limits(self) -> tuple[float, float]:
        """The lowest and the highest value."""
        if self.keyword != "PixelData":
            return -math.inf, math.inf
        half = 1 << (self.bits_stored - 1)
        return (-half, half - 1) if self.is_signed else (0, 2 * half - 1)

    @property
    def frame_bytes(self) -> int:
        return self.rows * self.columns * self.bits_allocated // 8


def undecodable(message: str) -> Refused:
    return Refused(ReasonCode.UNDECODABLE, message)


def pixels_of(file: Part10) -> PixelElement:
    """The file's pixel element. Raises Refused where it has none, or an empty one."""
    if file.pixels is None or file.pixels.length == 0:
        raise Refused(ReasonCode.NO_PIXELS, "PixelData is missing or empty")
    return file.pixels


def layout_of(file: Part10) -> PixelLayout:
    """The layout the header declares, checked against the bytes that are there. Raises Refused; decodes nothing."""
    header, pixels = file.header, pixels_of(file)
    samples, photometric = header.integer("SamplesPerPixel"), header.code("PhotometricInterpretation") or ""
    if samples is None or not photometric:
        missing = "SamplesPerPixel" if samples is None else "PhotometricInterpretation"
        raise Refused(ReasonCode.NOT_AN_IMAGE, f"{missing} is missing, so what the pixels stand for is not known")
    if samples != 1 or photometric not in GREYSCALE:
        raise Refused(ReasonCode.NOT_AN_IMAGE, f"the pixels are colours ({photometric}, {samples} samples)")
    allocated = _one_of(header, "BitsAllocated", BITS_ALLOCATED[pixels.keyword])
    is_float = pixels.keyword != "PixelData"
    layout = PixelLayout(
        rows=_between(header, "Rows", 1, 0xFFFF),
        columns=_between(header, "Columns", 1, 0xFFFF),
        frames=_between(header, "NumberOfFrames", 1, 2**31) if header.has_value("NumberOfFrames") else 1,
        bits_allocated=allocated,
        bits_stored=allocated if is_float else _between(header, "BitsStored", 1, allocated),
        is_signed=not is_float and _one_of(header, "PixelRepresentation", (0, 1)) == 1,
        photometric=photometric,
        keyword=pixels.keyword,
    )
    if not is_float and header.integer("HighBit") not in (None, layout.bits_stored - 1):
        raise undecodable(f"HighBit is {header.integer('HighBit')} where BitsStored is {layout.bits_stored}")
    if layout.rows * layout.columns > FRAME_PIXELS:
        raise undecodable(f"a frame of {layout.rows} x {layout.columns} pixels is larger than any that is decoded")
    if not pixels.is_encapsulated:
        _check_native_length(layout, pixels)
    return layout


def is_exact(file: Part10) -> bool:
    """Whether the values are those that were compressed, bit for bit."""
    return file.transfer_syntax_uid in NATIVE or file.transfer_syntax_uid in LOSSLESS


def stored_frames(file: Part10, layout: PixelLayout, numbers: Sequence[int]) -> Iterator[npt.NDArray[Any]]:
    """Stored values, (rows, columns), of the frames with these numbers (from 1, ascending), one at a time.

    Raises Refused (undecodable) with the decoder's words where a frame cannot be decoded.
    """
    pixels = pixels_of(file)
    if numbers[-1] > layout.frames:
        raise undecodable(f"frame {numbers[-1]} was announced, NumberOfFrames is {layout.frames}")
    if pixels.is_encapsulated == (file.transfer_syntax_uid in NATIVE):
        raise undecodable(f"PixelData does not have the form of its transfer syntax, {file.transfer_syntax_uid.name}")
    if pixels.is_encapsulated:
        yield from _compressed(file, layout, numbers)
        return
    for number in numbers:
        file.stream.seek(pixels.offset)
        yield _decoded(file, layout, file.stream, number, native=pixels)


def _compressed(file: Part10, layout: PixelLayout, numbers: Sequence[int]) -> Iterator[npt.NDArray[Any]]:
    """An extended offset table is not needed: where there is one, each frame is one fragment (PS3.3 C.7.6.3.1.8)."""
    wanted = set(numbers)
    # mapped, not read: a fragment that declares more than there is gets what is there
    with mmap.mmap(file.stream.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        mapped.seek(pixels_of(file).offset)
        source = cast(BytesIO, mapped)  # which it reads and seeks like
        frames = generate_frames(source, number_of_frames=layout.frames)
        for number in range(1, numbers[-1] + 1):
            try:
                data = next(frames)
                if number not in wanted:
                    continue
                declared = declared_frame(data, file.transfer_syntax_uid)
                if declared is not None:
                    _check_codestream(declared, file.transfer_syntax_uid, layout)
                if file.transfer_syntax_uid == uid.RLELossless:
                    _check_segments(rle_lengths(data), layout)
                alone = encapsulate([data], has_bot=False)
            except DECODE_ERRORS as error:
                raise undecodable(f"frame {number} cannot be decoded: {_in_words(error)}") from error
            values = _decoded(file, layout, alone, number)
            if layout.is_signed and declared is not None and not declared.is_signed:
                if declared.bits < layout.bits_stored:  # of which pydicom takes the highest for a sign
                    values = values.astype(np.int64) & ((1 << declared.bits) - 1)
                elif file.transfer_syntax_uid not in LOSSLESS:
                    _check_ends(values, layout)
            yield values


def _decoded(
    file: Part10, layout: PixelLayout, source: BinaryIO | bytes, number: int, native: PixelElement | None = None
) -> npt.NDArray[Any]:
    """One frame by pydicom: from the stream where pixels are native, else from the one frame given as bytes."""
    plugin, is_lossless = PLUGINS.get(file.transfer_syntax_uid, ""), file.transfer_syntax_uid in LOSSLESS
    options: dict[str, Any] = {
        "number_of_frames": layout.frames if native else 1,
        "rows": layout.rows,
        "columns": layout.columns,
        "samples_per_pixel": 1,
        "bits_allocated": layout.bits_allocated,
        "bits_stored": layout.bits_allocated if plugin == "gdcm" and is_lossless else layout.bits_stored,
        "pixel_representation": int(layout.is_signed),
        "photometric_interpretation": layout.photometric,
        "pixel_keyword": native.keyword if native else "PixelData",
        "pixel_vr": native.vr or "OW" if native else "OB",
        "view_only": layout.bits_stored == layout.bits_allocated,
        "decoding_plugin": plugin,
    }
    try:
        decoder = get_decoder(file.transfer_syntax_uid)
        found, _ = decoder.as_array(source, index=number - 1 if native else 0, raw=True, **options)
    except DECODE_ERRORS as error:
        raise undecodable(f"frame {number} cannot be decoded: {_in_words(error)}") from error
    return of_stored_bits(found, layout) if is_lossless else found


def of_stored_bits(found: npt.NDArray[Any], layout: PixelLayout) -> npt.NDArray[Any]:
    """Values by the bits that are stored, whatever lies above them (PS3.5 8.1.1): a codestream of all bits that are
    allocated may hold zeros there, or an overlay, and pydicom goes by what it declares. Native pixels it reads so by
    itself."""
    above = 8 * found.dtype.itemsize - layout.bits_stored
    if found.dtype.kind not in "iu" or above <= 0:
        return found
    kind = "i" if layout.is_signed else "u"
    kept: npt.NDArray[Any] = (found.view(f"{kind}{found.dtype.itemsize}") << above) >> above
    return kept


def _check_native_length(layout: PixelLayout, pixels: PixelElement) -> None:
    """Exactly the frames, give or take padding: a row more or less means that some declaration is wrong."""
    needed = layout.frame_bytes * layout.frames
    excess = pixels.length - needed
    if excess < 0 or excess >= max(layout.columns * layout.bits_allocated // 8, 2):
        raise undecodable(
            f"{pixels.keyword} holds {pixels.length} bytes where {layout.frames} frames of {layout.rows} x "
            f"{layout.columns} pixels of {layout.bits_allocated} bits need {needed}"
        )


def _check_segments(lengths: Sequence[int], layout: PixelLayout) -> None:
    """Each has a byte of every pixel, and little more. Where one has too few, the decoder says so."""
    area, most = layout.rows * layout.columns, max(lengths, default=0)
    if most > area + RLE_FILLING:
        raise ValueError(f"its segments come to {most} bytes, {layout.rows} x {layout.columns} pixels to {area}")


def _check_codestream(declared: DeclaredFrame, transfer_syntax_uid: str, layout: PixelLayout) -> None:
    if (declared.rows, declared.columns, declared.components) != (layout.rows, layout.columns, 1):
        raise ValueError(
            f"the codestream is {declared.rows} x {declared.columns} with {declared.components} components, "
            f"the header says {layout.rows} x {layout.columns} with 1"
        )
    if transfer_syntax_uid in JPEG and layout.bits_allocated > JPEG_BITS:
        raise ValueError(f"JPEG holds up to {JPEG_BITS} bits per pixel, BitsAllocated is {layout.bits_allocated}")
    if declared.bits > layout.bits_allocated:
        raise ValueError(f"the codestream has {declared.bits} bits per pixel, BitsAllocated is {layout.bits_allocated}")
    if declared.is_signed and not layout.is_signed:
        raise ValueError("the codestream's values are signed, PixelRepresentation says that they are not")
    is_exact = transfer_syntax_uid in LOSSLESS
    if layout.is_signed and not declared.is_signed and not is_exact and declared.bits > layout.bits_stored:
        raise ValueError(
            f"the values are signed in {layout.bits_stored} bits, the codestream holds {declared.bits} without a sign: "
            "after a compression that is not exact, which of them are below 0 is not known"
        )


def _check_ends(values: npt.NDArray[Any], layout: PixelLayout) -> None:
    """Of signed values whose bits were compressed without a sign, not exactly: in bits the highest is next to the
    lowest, and the one may have become the other. (0 and -1 are the ends there, beyond which no decoder goes.)"""
    half = 1 << (layout.bits_stored - 1)
    safe = half - (half >> NEAR_AN_END)
    if values.min() < -safe or values.max() >= safe:
        raise undecodable(
            "the values are signed, and the codestream, which is not exact, holds them without a sign: "
            f"of those at one end of {-half} to {half - 1} it is not known whether they were at the other"
        )


def _between(header: Attributes, keyword: str, least: int, most: int) -> int:
    found = header.integer(keyword)
    if found is None or not least <= found <= most:
        raise undecodable(f"{keyword} is {'missing' if found is None else found}, not between {least} and {most}")
    return found


def _one_of(header: Attributes, keyword: str, allowed: tuple[int, ...]) -> int:
    found = header.integer(keyword)
    if found not in allowed or found is None:
        raise undecodable(f"{keyword} is {'missing' if found is None else found}, not one of {allowed}")
    return found


def _in_words(error: Exception) -> str:
    """The decoder's own words on one line; they speak of the pixel data's form, never of the patient."""
    if isinstance(error, StopIteration):
        return "the pixel data holds fewer frames, or its offset tables and fragments name fewer"
    return " ".join(str(error).split())[:300] or type(error).__name__
