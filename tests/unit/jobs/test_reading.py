"""From files to a volume, or to a refusal."""

import struct
from pathlib import Path

import numpy as np
import pytest
from pydicom import uid
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, generate_frames
from pydicom.sequence import Sequence

from node.core.stacks import split_into_stacks
from node.core.study import Stack
from node.errors import NotFound, ReasonCode, Refused
from node.jobs import pixels
from node.jobs.codestream import DeclaredFrame, declared_frame
from node.jobs.reading import read_volume
from node.state.header import read_facts
from node.state.part10 import opened
from tests.makers.images import AXIAL, STUDY, ct_dataset, write


def read(folder: Path):
    """The volume and grid of the only stack in a folder."""
    facts = {path: read_facts(path) for path in sorted(folder.glob("*.dcm"))}
    (stack,) = split_into_stacks(list(facts.values()))
    return read_volume(stack, {one.sop_instance_uid: path for path, one in facts.items()}, STUDY)


def read_one(tmp_path: Path, ds: Dataset, transfer_syntax_uid: str = uid.ExplicitVRLittleEndian):
    write(tmp_path / "1.dcm", ds, transfer_syntax_uid)
    return read(tmp_path)[0]


def refused(tmp_path: Path, ds: Dataset, transfer_syntax_uid: str = uid.ExplicitVRLittleEndian) -> Refused:
    with pytest.raises(Refused) as caught:
        read_one(tmp_path, ds, transfer_syntax_uid)
    return caught.value


def test_slices_are_placed_along_their_normal_and_scaled_to_hu(tmp_path):
    for number, z in ((1, 4.0), (2, 0.0), (3, 2.0)):
        stored = np.full((4, 6), number, np.int16)
        write(tmp_path / f"{number}.dcm", ct_dataset(number, z, stored))
    volume, grid = read(tmp_path)
    assert volume.array[:, 0, 0].tolist() == [2 - 1024, 3 - 1024, 1 - 1024]
    assert volume.array.dtype == np.int16
    assert volume.affine_lps.tolist() == [[0, 0, 0.7, -10], [0, 0.5, 0, -20], [2, 0, 0, 0], [0, 0, 0, 1]]
    assert volume.spacing_mm == (2.0, 0.5, 0.7)
    assert grid.frames == (("1.2.3.4.2", 1), ("1.2.3.4.3", 1), ("1.2.3.4.1", 1))
    assert (grid.frame_of_reference_uid, grid.frame_of_reference_note) == ("1.2.9", None)


def test_one_slice_is_as_deep_as_it_is_thick(tmp_path):
    volume = read_one(tmp_path, ct_dataset(SliceThickness=3.0))
    assert volume.affine_lps[:3, 0].tolist() == [0, 0, 3.0]


@pytest.mark.parametrize(
    ("changes", "dtype", "first_and_last"),
    [
        ({}, np.int16, (-1024, -1001)),
        ({"RescaleSlope": None, "RescaleIntercept": None, "Modality": "MR"}, np.int16, (0, 23)),
        ({"RescaleSlope": 2, "RescaleIntercept": 5}, np.int16, (5, 51)),
        ({"RescaleSlope": 0.5}, np.float32, (-1024.0, -1012.5)),
        ({"RescaleIntercept": 32760}, np.float32, (32760.0, 32783.0)),
    ],
)
def test_values_are_int16_where_they_fit_and_float32_otherwise(tmp_path, changes, dtype, first_and_last):
    array = read_one(tmp_path, ct_dataset(**changes)).array
    assert array.dtype == dtype
    assert (array[0, 0, 0], array[0, -1, -1]) == first_and_last


def test_a_volume_becomes_float_at_the_first_slice_that_needs_it_and_keeps_the_others(tmp_path):
    for number, slope in ((1, 1), (2, 1.5), (3, 1)):
        write(tmp_path / f"{number}.dcm", ct_dataset(number, 2.0 * number, RescaleSlope=slope, RescaleIntercept=0))
    array = read(tmp_path)[0].array
    assert (array.dtype, array[:, 0, 3].tolist()) == (np.float32, [3.0, 4.5, 3.0])


def test_a_modality_lookup_table_replaces_rescale(tmp_path):
    table = Dataset()
    table.LUTDescriptor, table.LUTData = [3, 1, 16], struct.pack("<3H", 100, 200, 300)
    table["LUTDescriptor"].VR, table["LUTData"].VR = "US", "OW"
    ds = ct_dataset(ModalityLUTSequence=Sequence([table]), RescaleSlope=None, RescaleIntercept=None)
    assert read_one(tmp_path, ds).array[0, 0].tolist() == [100, 100, 200, 300, 300, 300]


@pytest.mark.parametrize(
    ("syntax", "bits", "data"),
    [
        (uid.ExplicitVRLittleEndian, 8, b"\1\2\3\0"),
        (uid.ExplicitVRBigEndian, 8, b"\2\1\0\3"),
        (uid.ExplicitVRLittleEndian, 8, b"\1\0\2\0\3\0"),
    ],
)
def test_entries_of_eight_bits_lie_in_words_or_two_to_a_word(tmp_path, syntax, bits, data):
    """In words of the transfer syntax's byte order."""
    assert read_one(tmp_path, tabled(bits, data, syntax), syntax).array[0, 0].tolist() == [1, 2, 3, 3]


def test_a_table_that_is_cut_off_is_refused(tmp_path):
    """Its bytes would pass for entries of eight bits."""
    told = refused(tmp_path, tabled(16, struct.pack("<2H", 100, 200)))

    assert (told.reason, "as long as it says" in str(told)) == (ReasonCode.UNDECODABLE, True)


def tabled(bits: int, data: bytes, syntax: str = uid.ExplicitVRLittleEndian) -> Dataset:
    """Stored values 0 to 3, and a table of three entries."""
    table = Dataset()
    table.LUTDescriptor, table.LUTData = [3, 0, bits], data
    table["LUTDescriptor"].VR, table["LUTData"].VR = "US", "OW"
    stored = np.array([[0, 1, 2, 3]], "<u2" if syntax == uid.ExplicitVRLittleEndian else ">u2")
    return ct_dataset(stored=stored, ModalityLUTSequence=Sequence([table]), RescaleSlope=None, RescaleIntercept=None)


def test_unused_high_bits_are_no_values(tmp_path):
    stored = np.array([[0x0FFF, 0xF001, 0x1002]], np.uint16)
    ds = ct_dataset(stored=stored, BitsStored=12, HighBit=11, RescaleIntercept=0)
    assert read_one(tmp_path, ds).array[0, 0].tolist() == [4095, 1, 2]


def test_float_pixel_data_is_read(tmp_path):
    stored = np.linspace(0, 1, 24, dtype=np.float32).reshape(4, 6)
    ds = ct_dataset(RescaleIntercept=0)
    for keyword in ("PixelData", "BitsStored", "HighBit", "PixelRepresentation"):
        delattr(ds, keyword)
    ds.BitsAllocated, ds.FloatPixelData = 32, stored.tobytes()
    assert np.array_equal(read_one(tmp_path, ds).array[0], stored)


def test_monochrome1_is_inverted_in_a_radiograph_and_never_in_ct(tmp_path):
    radiograph = ct_dataset(
        stored=np.array([[0, 1, 4095]], np.uint16),
        BitsStored=12,
        HighBit=11,
        Modality="DX",
        PhotometricInterpretation="MONOCHROME1",
        RescaleIntercept=0,
        ImagePositionPatient=None,
        ImageOrientationPatient=None,
        PixelSpacing=None,
    )
    volume = read_one(tmp_path, radiograph)
    assert volume.array[0, 0].tolist() == [4095, 4094, 0]
    assert (volume.affine_lps, volume.spacing_mm) == (None, None)
    for position in ([0.0, 0.0, 0.0], None):
        stored = np.array([[0, 1, 4095]], np.int16)
        ct = ct_dataset(stored=stored, PhotometricInterpretation="MONOCHROME1", ImagePositionPatient=position)
        assert read_one(tmp_path, ct).array[0, 0].tolist() == [-1024, -1023, 3071]


def test_every_frame_of_a_multi_frame_image_has_its_own_place_and_rescale(tmp_path):
    stored = np.arange(3 * 24, dtype=np.int16).reshape(3, 4, 6)
    ds = ct_dataset(stored=stored, SOPClassUID=uid.EnhancedCTImageStorage, NumberOfFrames=3)
    for keyword in ("ImagePositionPatient", "ImageOrientationPatient", "RescaleSlope", "RescaleIntercept"):
        delattr(ds, keyword)
    groups = []
    for z, intercept in ((4.0, 100), (0.0, 200), (2.0, 300)):
        group = Dataset()
        for what in ("PlanePosition", "PlaneOrientation", "PixelMeasures", "PixelValueTransformation"):
            setattr(group, f"{what}Sequence", Sequence([Dataset()]))
        group.PixelMeasuresSequence[0].PixelSpacing = [0.5, 0.7]
        group.PlanePositionSequence[0].ImagePositionPatient = [0, 0, z]
        group.PlaneOrientationSequence[0].ImageOrientationPatient = list(AXIAL)
        group.PixelValueTransformationSequence[0].RescaleSlope = 1
        group.PixelValueTransformationSequence[0].RescaleIntercept = intercept
        groups.append(group)
    ds.PerFrameFunctionalGroupsSequence = Sequence(groups)
    volume = read_one(tmp_path, ds)
    assert volume.array[:, 0, 0].tolist() == [24 + 200, 48 + 300, 0 + 100]
    assert volume.affine_lps[:3, 0].tolist() == [0, 0, 2]


@pytest.mark.parametrize("named", [("1.2.1", "1.2.2", "1.2.3"), (None, "1.2.2", "1.2.2"), (None, None, None)])
def test_results_get_one_frame_of_reference_and_the_report_says_so(tmp_path, named):
    for number, name in enumerate(named, 1):
        write(tmp_path / f"{number}.dcm", ct_dataset(number, 2.0 * number, FrameOfReferenceUID=name))
    _, grid = read(tmp_path)
    stated = [name for name in named if name]
    assert grid.frame_of_reference_uid == stated[0] if stated else grid.frame_of_reference_uid.startswith("2.25.")
    assert "frame" in grid.frame_of_reference_note
    assert read(tmp_path)[1] == grid


@pytest.mark.parametrize(
    ("changes", "reason", "words"),
    [
        ({"Rows": 5}, ReasonCode.UNDECODABLE, "PixelData holds 48 bytes"),
        ({"Rows": 3}, ReasonCode.UNDECODABLE, "PixelData holds 48 bytes"),
        ({"Columns": 65535}, ReasonCode.UNDECODABLE, "PixelData holds 48 bytes"),
        ({"NumberOfFrames": 2}, ReasonCode.NOT_A_VOLUME, "2 frames that have no place"),
        ({"BitsStored": 17}, ReasonCode.UNDECODABLE, "BitsStored is 17"),
        ({"BitsAllocated": 12}, ReasonCode.UNDECODABLE, "BitsAllocated is 12"),
        ({"HighBit": 7}, ReasonCode.UNDECODABLE, "HighBit is 7"),
        ({"PixelRepresentation": 2}, ReasonCode.UNDECODABLE, "PixelRepresentation is 2"),
        ({"SamplesPerPixel": 3}, ReasonCode.NOT_AN_IMAGE, "3 samples"),
        ({"PhotometricInterpretation": "RGB"}, ReasonCode.NOT_AN_IMAGE, "RGB"),
        ({"PhotometricInterpretation": None}, ReasonCode.NOT_AN_IMAGE, "PhotometricInterpretation is missing"),
        ({"SamplesPerPixel": None}, ReasonCode.NOT_AN_IMAGE, "SamplesPerPixel is missing"),
        ({"PixelData": b""}, ReasonCode.NO_PIXELS, "PixelData"),
        ({"PixelData": bytes(46)}, ReasonCode.UNDECODABLE, "PixelData holds 46 bytes"),
        ({"PixelData": bytes(60)}, ReasonCode.UNDECODABLE, "PixelData holds 60 bytes"),
        ({"RescaleSlope": 0}, ReasonCode.UNDECODABLE, "RescaleSlope is 0"),
    ],
)
def test_declarations_that_disagree_are_refused_before_anything_is_decoded(tmp_path, changes, reason, words):
    told = refused(tmp_path, ct_dataset(**changes))
    assert told.reason is reason
    assert words in str(told)


def test_padding_after_the_pixels_is_no_fault(tmp_path):
    assert read_one(tmp_path, ct_dataset(PixelData=bytes(50))).array.shape == (1, 4, 6)


def test_slices_that_no_affine_places_are_refused(tmp_path):
    for number, z in ((1, 0.0), (2, 2.0), (3, 4.0), (4, 9.0)):
        write(tmp_path / f"{number}.dcm", ct_dataset(number, z))
    with pytest.raises(Refused) as caught:
        read(tmp_path)
    assert caught.value.reason is ReasonCode.IRREGULAR_SPACING


def stack_and_path(tmp_path: Path) -> tuple[Stack, Path]:
    path = write(tmp_path / "1.dcm", ct_dataset())
    (stack,) = split_into_stacks([read_facts(path)])
    return stack, path


def test_a_file_that_holds_another_instance_is_refused(tmp_path):
    stack, path = stack_and_path(tmp_path)
    write(path, ct_dataset(number=2))
    with pytest.raises(Refused, match="not the instance"):
        read_volume(stack, {stack.frames[0].sop_instance_uid: path}, STUDY)


def test_a_file_that_is_cut_is_refused(tmp_path):
    stack, path = stack_and_path(tmp_path)
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(Refused, match="truncated"):
        read_volume(stack, {stack.frames[0].sop_instance_uid: path}, STUDY)


def test_an_instance_without_a_file_is_not_found(tmp_path):
    stack, _ = stack_and_path(tmp_path)
    with pytest.raises(NotFound, match=r"1\.2\.3\.4\.1"):
        read_volume(stack, {}, STUDY)


COMPRESSED = [uid.RLELossless, uid.JPEGLSLossless, uid.JPEG2000Lossless]


def compressed(syntax: str, **changes) -> Dataset:
    stored = np.random.default_rng(1).integers(0, 4096, (64, 48)).astype(np.uint16)
    ds = ct_dataset(stored=stored, RescaleIntercept=0)
    ds.compress(syntax, stored, generate_instance_uid=False)
    for keyword, value in changes.items():
        setattr(ds, keyword, value)
    return ds


@pytest.mark.parametrize("syntax", COMPRESSED)
def test_compressed_pixels_are_those_that_were_compressed(tmp_path, syntax):
    expected = np.random.default_rng(1).integers(0, 4096, (64, 48))
    assert np.array_equal(read_one(tmp_path, compressed(syntax), syntax).array[0], expected)


@pytest.mark.parametrize("syntax", COMPRESSED)
def test_the_sign_is_in_the_bits_that_are_stored_whatever_a_codestream_holds_above_them(tmp_path, syntax):
    """Values of -2048 to 2047 in 12 bits, compressed as 16 of which the upper four are zeros."""
    ds = compressed(syntax, BitsStored=12, HighBit=11, PixelRepresentation=1)
    stored = np.random.default_rng(1).integers(0, 4096, (64, 48))

    assert np.array_equal(read_one(tmp_path, ds, syntax).array[0], np.where(stored > 2047, stored - 4096, stored))


@pytest.mark.parametrize("syntax", COMPRESSED)
def test_what_lies_above_the_bits_that_are_stored_is_no_value(tmp_path, syntax):
    """An overlay in the upper four bits of sixteen, as older scanners left it, and compressed with the rest."""
    stored = np.random.default_rng(1).integers(0, 4096, (64, 48)).astype(np.uint16)
    overlaid = stored | np.uint16(0x8000) * (stored % 2)
    ds = ct_dataset(stored=overlaid, RescaleIntercept=0)
    ds.compress(syntax, overlaid, generate_instance_uid=False)
    ds.BitsStored, ds.HighBit = 12, 11

    assert np.array_equal(read_one(tmp_path, ds, syntax).array[0], stored)


def lossy(stored: np.ndarray, **changes) -> Dataset:
    """JPEG 2000 that is not exact, by up to some units."""
    ds = ct_dataset(stored=stored, RescaleIntercept=0)
    ds.compress(uid.JPEG2000, stored, generate_instance_uid=False, j2k_psnr=[80])
    for keyword, value in changes.items():
        setattr(ds, keyword, value)
    return ds


def test_signed_values_in_an_inexact_codestream_without_a_sign_are_refused(tmp_path):
    """12 bits with a sign, compressed as 16 without: what is near 0 on either side can no longer be told."""
    below_0 = (np.linspace(-1000, 1000, 64 * 48).astype(np.int16) & 0xFFF).astype(np.uint16).reshape(64, 48)

    told = refused(tmp_path, lossy(below_0, BitsStored=12, HighBit=11, PixelRepresentation=1), uid.JPEG2000)

    assert told.reason is ReasonCode.UNDECODABLE
    assert "holds 16 without a sign" in str(told)


def test_what_a_lossy_compression_put_above_the_range_does_not_turn_over_when_mirrored(tmp_path):
    """Where an edge rings, a white pixel of a negative would become the brightest of all, not the darkest."""
    stored = np.where(np.arange(64 * 48).reshape(64, 48) // 5 % 2, 4095, 0).astype(np.uint16)
    codestream = lossy(stored, BitsStored=12, HighBit=11, PhotometricInterpretation="MONOCHROME1", Modality="DX")
    for keyword in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing"):
        delattr(codestream, keyword)

    upright = read_one(tmp_path, codestream, uid.JPEG2000).array[0]

    assert np.abs(upright.astype(int) - (4095 - stored.astype(int))).max() < 300


def two_frames(folder: Path, change) -> Refused:
    """What is said of two frames in RLE after their pixel data was changed."""
    stored = np.random.default_rng(1).integers(0, 4096, (2, 64, 48)).astype(np.uint16)
    ds = ct_dataset(stored=stored, NumberOfFrames=2, SOPClassUID=uid.EnhancedCTImageStorage)
    ds.compress(uid.RLELossless, stored, generate_instance_uid=False, encoding_plugin="pydicom")
    ds.PixelData = change(ds.PixelData)
    write(folder / "1.dcm", ds, uid.RLELossless)
    with opened(folder / "1.dcm", pixels.TAGS) as file, pytest.raises(Refused) as caught:
        list(pixels.stored_frames(file, pixels.layout_of(file), [1, 2]))
    return caught.value


def test_an_offset_table_that_leaves_a_frame_without_bytes_is_refused(tmp_path):
    """Its two places are exchanged: the first frame would end before it begins."""
    told = two_frames(tmp_path, lambda data: data[:8] + data[12:16] + data[8:12] + data[16:])

    assert told.reason is ReasonCode.UNDECODABLE


@pytest.mark.parametrize(("offsets", "lengths"), [((1, 0), (0, 1)), ((0, 0), (0, 0))])
def test_an_extended_offset_table_exchanges_no_frames(tmp_path, offsets, lengths):
    """Each frame is one fragment where there is one, and they stand in their order."""
    stored = np.random.default_rng(1).integers(0, 4096, (2, 64, 48)).astype(np.uint16)
    ds = ct_dataset(stored=stored, NumberOfFrames=2, SOPClassUID=uid.EnhancedCTImageStorage)
    ds.compress(uid.RLELossless, stored, generate_instance_uid=False, encoding_plugin="pydicom")
    fragments = list(generate_frames(ds.PixelData, number_of_frames=2))
    ds.PixelData = encapsulate(fragments, has_bot=False)
    begins, sizes = (0, 8 + len(fragments[0])), tuple(map(len, fragments))
    ds.ExtendedOffsetTable = struct.pack("<2Q", *(begins[one] for one in offsets))
    ds.ExtendedOffsetTableLengths = struct.pack("<2Q", *(sizes[one] for one in lengths))
    write(tmp_path / "1.dcm", ds, uid.RLELossless)
    with opened(tmp_path / "1.dcm", pixels.TAGS) as file:
        found = list(pixels.stored_frames(file, pixels.layout_of(file), [1, 2]))

    assert np.array_equal(found, stored)


def test_frames_that_are_not_there_are_told_in_words(tmp_path):
    told = two_frames(tmp_path, lambda data: encapsulate(list(generate_frames(data, number_of_frames=2))[:1]))

    assert "holds fewer frames" in str(told)


def test_a_signed_codestream_of_unsigned_pixels_is_refused(tmp_path):
    """Whether its values or their bits are meant cannot be known."""
    ds = compressed(uid.JPEG2000Lossless)
    (whole,) = generate_frames(ds.PixelData, number_of_frames=1)
    depth = whole.index(b"\xff\x4f\xff\x51") + 42
    ds.PixelData = encapsulate([whole[:depth] + bytes([whole[depth] | 0x80]) + whole[depth + 1 :]])

    told = refused(tmp_path, ds, uid.JPEG2000Lossless)

    assert told.reason is ReasonCode.UNDECODABLE
    assert "the codestream's values are signed" in str(told)


@pytest.mark.parametrize("syntax", COMPRESSED)
@pytest.mark.parametrize("kept", [0.01, 0.3, 0.9, 0.99])
def test_a_cut_codestream_is_refused(tmp_path, syntax, kept):
    ds = compressed(syntax)
    (whole,) = generate_frames(ds.PixelData, number_of_frames=1)
    ds.PixelData = encapsulate([whole[: int(len(whole) * kept)]])
    ds["PixelData"].VR = "OB"
    assert refused(tmp_path, ds, syntax).reason is ReasonCode.UNDECODABLE


@pytest.mark.parametrize("syntax", [uid.JPEGLSLossless, uid.JPEG2000Lossless])
def test_a_codestream_cut_in_the_middle_is_refused_although_it_has_its_end(tmp_path, syntax):
    ds = compressed(syntax)
    (whole,) = generate_frames(ds.PixelData, number_of_frames=1)
    ds.PixelData = encapsulate([whole[: len(whole) // 2] + b"\xff\xd9"])
    ds["PixelData"].VR = "OB"
    assert refused(tmp_path, ds, syntax).reason is ReasonCode.UNDECODABLE


@pytest.mark.parametrize("syntax", [uid.JPEGLSLossless, uid.JPEG2000Lossless])
def test_a_codestream_of_another_size_than_the_header_says_is_refused_before_it_is_decoded(tmp_path, syntax):
    told = refused(tmp_path, compressed(syntax, Rows=32), syntax)
    assert "the codestream is 64 x 48 with 1 components, the header says 32 x 48" in str(told)


@pytest.mark.parametrize("changes", [{"Rows": 63}, {"Columns": 47}, {"Rows": 48, "Columns": 63}])
def test_a_frame_in_rle_of_more_pixels_than_the_header_says_is_refused(tmp_path, changes):
    """It has no header of its own: its first pixels made a picture that was cut off, or slanted."""
    told = refused(tmp_path, compressed(uid.RLELossless, **changes), uid.RLELossless)

    assert (told.reason, "3072 bytes" in str(told)) == (ReasonCode.UNDECODABLE, True)


def test_a_frame_larger_than_any_is_refused_before_it_is_decoded(tmp_path):
    told = refused(tmp_path, compressed(uid.RLELossless, Rows=60000, Columns=60000), uid.RLELossless)
    assert told.reason in (ReasonCode.OUT_OF_MEMORY, ReasonCode.UNDECODABLE)


def test_a_transfer_syntax_nobody_decodes_is_refused(tmp_path):
    ds = compressed(uid.RLELossless)
    assert refused(tmp_path, ds, uid.MPEG2MPML).reason is ReasonCode.UNDECODABLE


def test_the_frame_header_of_a_jpeg_is_found_behind_other_segments():
    segments = (
        b"\xff\xe0\x00\x04ab" + b"\xff\xff\xdb\x00\x03c" + b"\xff\xc3\x00\x0b\x0c\x01\x00\x02\x00\x01\x01\x11\x00"
    )
    codestream = b"\xff\xd8" + segments + b"\xff\xd9\x00"
    assert declared_frame(codestream, uid.JPEGLosslessSV1) == DeclaredFrame(
        rows=256, columns=512, components=1, bits=12
    )


@pytest.mark.parametrize(
    "codestream", [b"", b"\xff\xd8", b"\xff\xd8\xff\xd9", b"\xff\xd8\xff\xe0\xff\xff\xff\xd9", b"random"]
)
@pytest.mark.parametrize("syntax", [uid.JPEGLosslessSV1, uid.JPEG2000, uid.JPEGLSLossless])
def test_what_is_no_codestream_is_an_error(codestream, syntax):
    with pytest.raises(ValueError, match="codestream"):
        declared_frame(codestream, syntax)


RADIOGRAPH = {"Modality": "DX", "ImagePositionPatient": None, "ImageOrientationPatient": None, "PixelSpacing": None}


def test_a_radiograph_is_inverted_in_the_values_of_its_lookup_table(tmp_path):
    """The table is of stored values (PS3.3 C.11.1): mirrored before, they would be looked up in the wrong places."""
    table = Dataset()
    table.LUTDescriptor, table.LUTData = [4, 0, 12], struct.pack("<4H", 0, 100, 1000, 4095)
    table["LUTDescriptor"].VR, table["LUTData"].VR = "US", "OW"
    ds = ct_dataset(
        stored=np.array([[0, 1, 2, 3]], np.uint16),
        BitsStored=12,
        HighBit=11,
        PhotometricInterpretation="MONOCHROME1",
        ModalityLUTSequence=Sequence([table]),
        RescaleSlope=None,
        RescaleIntercept=None,
        **RADIOGRAPH,
    )

    assert read_one(tmp_path, ds).array[0, 0].tolist() == [4095, 3995, 3095, 0]


@pytest.mark.parametrize("modality", ["CT", "PT"])
@pytest.mark.parametrize("absent", ["RescaleSlope", "RescaleIntercept"])
def test_values_that_stand_for_no_known_quantity_are_refused(tmp_path, modality, absent):
    """Stored values of a CT taken for Hounsfield units would be a thousand off, and nobody would see it."""
    told = refused(tmp_path, ct_dataset(**{"Modality": modality, absent: None}))

    assert (told.reason, "Rescale" in str(told)) == (ReasonCode.NOT_AN_IMAGE, True)


@pytest.mark.parametrize("unit", ["MGML", "Z_EFF", "ED", "PCT"])
def test_a_map_of_a_spectral_scanner_is_no_ct_in_hounsfield_units(tmp_path, unit):
    told = refused(tmp_path, ct_dataset(RescaleType=unit))

    assert (told.reason, unit in str(told)) == (ReasonCode.MODALITY, True)


@pytest.mark.parametrize("unit", ["HU", "HU_MOD", "US"])
def test_a_ct_in_hounsfield_units_or_of_unspecified_unit_is_read(tmp_path, unit):
    assert read_one(tmp_path, ct_dataset(RescaleType=unit)).array[0, 0, 0] == -1024


def padded(*rows: list[int], value: int, **changes) -> Dataset:
    ds = ct_dataset(stored=np.array(rows, np.int16), RescaleIntercept=0, **changes)
    ds.add_new("PixelPaddingValue", "SS", value)
    return ds


def test_bright_padding_round_an_image_becomes_its_lowest_value(tmp_path):
    """A threshold would find it; the same value in the midst of the image may be a measured one."""
    ds = padded([500, 500, 500, 500, 500], [500, -7, 3, 30, 500], [500, 500, 500, 9, 500], value=500)
    assert read_one(tmp_path, ds).array[0].tolist() == [[-7] * 5, [-7, -7, 3, 30, -7], [-7, -7, -7, 9, -7]]

    ds = padded([1, 1, 1, 1, 1], [1, -7, 500, 30, 1], [1, 9, 9, 9, 500], value=500)
    assert read_one(tmp_path, ds).array[0].tolist() == [[1, 1, 1, 1, 1], [1, -7, 500, 30, 1], [1, 9, 9, 9, -7]]


def test_padding_below_the_image_stays_as_it_is(tmp_path):
    ds = padded([-2000, -2000, 5], [-2000, 1, 2], value=-2000)
    assert read_one(tmp_path, ds).array[0].tolist() == [[-2000, -2000, 5], [-2000, 1, 2]]


def test_a_range_of_padding_is_padding_with_both_ends(tmp_path):
    ds = padded([98, 100, 3], [99, 1, 2], value=100)
    ds.add_new("PixelPaddingRangeLimit", "SS", 98)
    assert read_one(tmp_path, ds).array[0].tolist() == [[1, 1, 3], [1, 1, 2]]


@pytest.mark.parametrize("syntax", [uid.ExplicitVRLittleEndian, uid.RLELossless, uid.JPEGLSLossless])
@pytest.mark.parametrize("signed", [False, True])
def test_padding_that_the_stored_bits_do_not_hold_is_seen_in_those_above_them(tmp_path, syntax, signed):
    """Of -2000 in 16 bits the lower twelve are 2096: a border denser than bone."""
    inside = [[300, 200, 2096 - 4096 * signed], [90, 250, 120]]
    stored = np.pad(np.array(inside, np.int16).view(np.uint16) & 0xFFF, 8, constant_values=0xF830 - 0x3000 * signed)
    ds = ct_dataset(stored=stored, RescaleIntercept=0)
    if syntax != uid.ExplicitVRLittleEndian:
        ds.compress(syntax, stored, generate_instance_uid=False, encoding_plugin=pixels.PLUGINS[syntax])
    ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 12, 11, int(signed)
    ds.add_new("PixelPaddingValue", "US", int(stored[0, 0]))

    found = read_one(tmp_path, ds, syntax).array[0]

    assert np.array_equal(found[8:-8, 8:-8], inside)
    assert set(found[0]) == {np.min(inside)}


@pytest.mark.parametrize(("keyword", "vr"), [("FloatPixelPaddingValue", "FL"), ("DoubleFloatPixelPaddingValue", "FD")])
@pytest.mark.parametrize("limit", [None, 2e9])
def test_padding_of_floating_point_is_padding(tmp_path, keyword, vr, limit):
    kind = keyword.removesuffix("PaddingValue")
    stored = np.array([[1e9, limit or 1e9, 1e9], [1e9, 2.5, -3.5]], np.float32 if vr == "FL" else np.float64)
    ds = ct_dataset(RescaleIntercept=0, Rows=2, Columns=3, BitsAllocated=8 * stored.itemsize)
    for name in ("PixelData", "BitsStored", "HighBit", "PixelRepresentation"):
        delattr(ds, name)
    setattr(ds, f"{kind}Data", stored.tobytes())
    setattr(ds, keyword, 1e9)
    if limit is not None:
        setattr(ds, f"{kind}PaddingRangeLimit", limit)

    assert read_one(tmp_path, ds).array[0].tolist() == [[-3.5, -3.5, -3.5], [-3.5, 2.5, -3.5]]


def test_a_slice_of_padding_alone_is_as_dark_as_the_volume(tmp_path):
    write(tmp_path / "1.dcm", padded([500, 500], [500, 500], value=500))
    other = padded([-3, 500], [4, 5], value=500)
    other.SOPInstanceUID, other.ImagePositionPatient = "1.2.3.4.2", [-10, -20, 2]
    write(tmp_path / "2.dcm", other)
    assert read(tmp_path)[0].array.tolist() == [[[-3, -3], [-3, -3]], [[-3, -3], [4, 5]]]


def test_images_of_padding_alone_are_refused(tmp_path):
    told = refused(tmp_path, padded([500, 500], [500, 500], value=500))
    assert (told.reason, "padding" in str(told)) == (ReasonCode.NO_PIXELS, True)


def test_the_dark_border_of_a_negative_is_dark_when_it_is_upright(tmp_path):
    """Stored 0 is white in MONOCHROME1: a border of it would be the brightest of all."""
    ds = ct_dataset(
        stored=np.array([[0, 0, 0], [0, 90, 40]], np.uint16),
        BitsStored=12,
        HighBit=11,
        RescaleIntercept=0,
        PhotometricInterpretation="MONOCHROME1",
        **RADIOGRAPH,
    )
    ds.add_new("PixelPaddingValue", "US", 0)
    assert read_one(tmp_path, ds).array[0].tolist() == [[4005, 4005, 4005], [4005, 4005, 4055]]
