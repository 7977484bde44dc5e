"""Frames compressed by the JPEG processes, as PACS keep them: what each header and codestream say of one another."""

import numpy as np
import pytest
from pydicom import uid
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, generate_frames

from node.errors import ReasonCode
from tests.makers.images import ct_dataset
from tests.makers.jpeg import jpeg_lossless
from tests.unit.jobs.test_reading import read_one, refused


def framed(stored: np.ndarray, codestream: bytes, **changes) -> Dataset:
    """A CT slice with that one compressed frame."""
    ds = ct_dataset(stored=stored, RescaleIntercept=0)
    ds.PixelData = encapsulate([codestream])
    ds["PixelData"].VR, ds["PixelData"].is_undefined_length = "OB", True
    for keyword, value in changes.items():
        setattr(ds, keyword, value)
    return ds


def noise(bits: int, container: type) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 1 << bits, (24, 17)).astype(container)


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize(
    ("bits", "container", "coded_bits"),
    [(5, np.uint8, 8), (5, np.uint8, 5), (7, np.uint8, 7), (8, np.uint8, 8), (8, np.uint16, 16), (12, np.uint16, 12),
     (12, np.uint16, 16), (16, np.uint16, 16)],
)  # fmt: skip
def test_jpeg_lossless_gives_back_the_bits_that_are_stored(tmp_path, bits, container, coded_bits, signed):
    """Fewer of eight ended the process: the decoder takes it for its own fault, not the file's."""
    stored = noise(bits, container)
    ds = framed(stored, jpeg_lossless(stored, coded_bits), BitsStored=bits, HighBit=bits - 1)
    ds.PixelRepresentation = int(signed)
    whole = stored.astype(int)

    found = read_one(tmp_path, ds, uid.JPEGLosslessSV1).array[0]

    assert np.array_equal(found, np.where(whole >> (bits - 1), whole - (1 << bits), whole) if signed else whole)


def test_more_bits_than_the_jpeg_processes_have_are_refused(tmp_path):
    """They ended the process."""
    stored = noise(16, np.uint16)

    told = refused(tmp_path, framed(stored, jpeg_lossless(stored, 16), BitsAllocated=32), uid.JPEGLosslessSV1)

    assert told.reason is ReasonCode.UNDECODABLE
    assert "BitsAllocated is 32" in str(told)


@pytest.mark.parametrize("filling", [b"\0", b"\x40"])
def test_the_byte_that_makes_a_codestream_even_may_be_any(tmp_path, filling):
    """DCMTK leaves there what was in its memory."""
    stored = noise(12, np.uint16)

    found = read_one(tmp_path, framed(stored, jpeg_lossless(stored, 12) + filling), uid.JPEGLosslessSV1)

    assert np.array_equal(found.array[0], stored)


@pytest.mark.parametrize("coded_bits", [8, 12, 15])
@pytest.mark.parametrize("syntax", [uid.JPEGLosslessSV1, uid.JPEGLSLossless, uid.JPEG2000Lossless])
def test_a_codestream_of_fewer_bits_than_are_stored_has_no_sign_in_them(tmp_path, syntax, coded_bits):
    """3484 in twelve bits is no -612 where sixteen are stored: so DCMTK, GDCM and ITK read it."""
    stored = np.random.default_rng(1).integers(0, 1 << coded_bits, (64, 48)).astype(np.uint16)
    if syntax == uid.JPEGLosslessSV1:
        codestream = jpeg_lossless(stored, coded_bits)
    else:
        narrow = stored.astype(np.uint8) if coded_bits == 8 else stored
        ds = ct_dataset(stored=narrow, BitsStored=coded_bits, HighBit=coded_bits - 1)
        ds.compress(syntax, narrow, generate_instance_uid=False)
        (codestream,) = generate_frames(ds.PixelData, number_of_frames=1)

    found = read_one(tmp_path, framed(stored, codestream, PixelRepresentation=1), syntax).array[0]

    assert np.array_equal(found, stored)


def nearly(stored: np.ndarray, by: int) -> Dataset:
    """Values with a sign in JPEG-LS that is exact to within so much: the codestream has their bits, and no sign."""
    bits = stored.view(np.uint16) & 0xFFF
    ds = ct_dataset(stored=bits, RescaleIntercept=0, BitsStored=12, HighBit=11)
    ds.compress(uid.JPEGLSNearLossless, bits, generate_instance_uid=False, jls_error=by)
    ds.PixelRepresentation = 1
    return ds


def test_signed_values_of_an_inexact_codestream_are_read_where_none_can_have_turned_over(tmp_path):
    stored = np.linspace(-1024, 1500, 24 * 17).astype(np.int16).reshape(24, 17)

    found = read_one(tmp_path, nearly(stored, 3), uid.JPEGLSNearLossless).array[0]

    assert np.abs(found - stored).max() <= 3


@pytest.mark.parametrize("end", [-2048, 2047])
def test_signed_values_of_an_inexact_codestream_are_refused_at_the_ends_of_their_range(tmp_path, end):
    """Metal at 2047 came back as -2047, and padding of -2048 as 2046."""
    stored = np.zeros((24, 17), np.int16)
    stored[3:9, 5:12] = end

    told = refused(tmp_path, nearly(stored, 3), uid.JPEGLSNearLossless)

    assert told.reason is ReasonCode.UNDECODABLE
    assert "at one end" in str(told)
