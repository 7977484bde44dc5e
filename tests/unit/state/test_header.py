"""Reading headers into facts."""

import contextlib
import random
import struct
import tracemalloc

import pydicom.config
import pytest
from pydicom import uid
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from node.core.study import InstanceKind
from node.errors import Unreadable
from node.state.header import TAGS, read_facts
from node.state.part10 import opened
from tests.makers.images import AXIAL, ct_dataset, enhanced_mr_dataset, write


@pytest.fixture(autouse=True)
def _write_anything(monkeypatch):
    """Tests write values that a good sender never would."""
    monkeypatch.setattr(pydicom.config.settings, "writing_validation_mode", pydicom.config.IGNORE)


@pytest.mark.parametrize(
    "syntax",
    [
        uid.ImplicitVRLittleEndian,
        uid.ExplicitVRLittleEndian,
        uid.ExplicitVRBigEndian,
        uid.DeflatedExplicitVRLittleEndian,
    ],
)
def test_facts_are_the_same_in_every_transfer_syntax(tmp_path, syntax):
    facts = read_facts(write(tmp_path / "a.dcm", ct_dataset(z_mm=7.5), syntax))
    assert facts.transfer_syntax_uid == syntax
    assert (facts.rows, facts.columns, facts.samples_per_pixel, facts.has_pixels) == (4, 6, 1, True)
    (frame,) = facts.frames
    assert frame.position_lps_mm == (-10.0, -20.0, 7.5)
    assert (frame.orientation, frame.pixel_spacing_mm, frame.slice_thickness_mm) == (AXIAL, (0.5, 0.7), 2.0)
    assert frame.image_type == ("ORIGINAL", "PRIMARY", "AXIAL")


@pytest.mark.parametrize(
    ("keyword", "value", "field"),
    [
        ("InstanceNumber", "one", "instance_number"),
        ("InstanceNumber", "99999999999", "instance_number"),
        ("PatientAge", "old", "patient_age_y"),
        ("GantryDetectorTilt", "nan", "gantry_tilt_deg"),
        ("FrameOfReferenceUID", "1.2.x", "frame_of_reference_uid"),
        ("StudyDate", "yesterday", "study_date"),
    ],
)
def test_a_malformed_attribute_is_none(tmp_path, keyword, value, field):
    ds = ct_dataset()
    ds.add(pydicom.DataElement(keyword, "LO", value))
    assert getattr(read_facts(write(tmp_path / "a.dcm", ds)), field) is None


@pytest.mark.parametrize("written", ["C\0T", "CT\0\0", "\nCT\t", "C\x1bT"])
def test_characters_that_control_something_are_no_part_of_a_code(tmp_path, written):
    """PostgreSQL refuses texts with a null: one image would keep all that came after it from being indexed."""
    ds = ct_dataset()
    ds.add(pydicom.DataElement("Modality", "LO", written))
    assert read_facts(write(tmp_path / "a.dcm", ds)).modality == "CT"


@pytest.mark.parametrize(
    ("keyword", "value", "field"),
    [
        ("ImagePositionPatient", "1\\2", "position_lps_mm"),
        ("ImagePositionPatient", "1\\2\\inf", "position_lps_mm"),
        ("ImagePositionPatient", "1\\2\\1e300", "position_lps_mm"),
        ("ImageOrientationPatient", "1\\0\\0\\1\\0\\0", "orientation"),
        ("ImageOrientationPatient", "0\\0\\0\\0\\0\\0", "orientation"),
        ("PixelSpacing", "0.5\\-0.5", "pixel_spacing_mm"),
        ("PixelSpacing", "0.5", "pixel_spacing_mm"),
    ],
)
def test_malformed_geometry_is_no_geometry(tmp_path, keyword, value, field):
    ds = ct_dataset()
    ds.add(pydicom.DataElement(keyword, "LO", value))
    (frame,) = read_facts(write(tmp_path / "a.dcm", ds)).frames
    assert getattr(frame, field) is None


@pytest.mark.parametrize(
    ("changes", "years"),
    [
        ({"PatientAge": "062Y"}, 62.0),
        ({"PatientAge": "006M"}, 0.5),
        ({"PatientAge": "62", "PatientBirthDate": "19600101", "StudyDate": "20200101"}, 60.0),
        ({"PatientBirthDate": "20200101", "StudyDate": "19600101"}, None),
        ({"PatientBirthDate": "19601399", "StudyDate": "20200101"}, None),
    ],
)
def test_age_is_in_years_and_from_dates_where_it_is_not_stated(tmp_path, changes, years):
    age = read_facts(write(tmp_path / "a.dcm", ct_dataset(**changes))).patient_age_y
    assert (age if age is None else round(age, 2)) == years


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({}, InstanceKind.IMAGE),
        ({"Rows": None}, InstanceKind.OTHER),
        ({"SOPClassUID": uid.SegmentationStorage}, InstanceKind.OTHER),
        ({"SOPClassUID": uid.RTDoseStorage}, InstanceKind.OTHER),
    ],
)
def test_the_kind_tells_images_from_what_only_has_a_pixel_matrix(tmp_path, changes, kind):
    assert read_facts(write(tmp_path / "a.dcm", ct_dataset(**changes))).kind is kind


@pytest.mark.parametrize(("model", "kind"), [("Isocenter", InstanceKind.OWN), ("Isocenter 2", InstanceKind.IMAGE)])
def test_our_own_results_are_known_by_contributing_equipment(tmp_path, model, kind):
    equipment = Dataset()
    equipment.ManufacturerModelName = model
    ds = ct_dataset(ContributingEquipmentSequence=Sequence([equipment]))
    assert read_facts(write(tmp_path / "a.dcm", ds)).kind is kind


@pytest.mark.parametrize(("sides", "wanted"), [(("L", None), "L"), ((None, "R"), "R"), (("L", "R"), None)])
def test_the_side_of_a_multi_frame_image_is_that_of_all_its_frames(tmp_path, sides, wanted):
    """Such images have no Image Laterality: a tomosynthesis of the left breast says so in Frame Anatomy alone."""
    ds = enhanced_mr_dataset()
    groups = (ds.SharedFunctionalGroupsSequence[0], ds.PerFrameFunctionalGroupsSequence[1])
    for group, side in zip(groups, sides, strict=True):
        if side:
            anatomy = Dataset()
            anatomy.FrameLaterality = side
            group.FrameAnatomySequence = [anatomy]
    assert read_facts(write(tmp_path / "a.dcm", ds)).laterality == wanted


def test_an_image_without_pixels_is_still_an_image_so_that_it_can_be_refused(tmp_path):
    facts = read_facts(write(tmp_path / "a.dcm", ct_dataset(PixelData=b"")))
    assert (facts.kind, facts.has_pixels) == (InstanceKind.IMAGE, False)


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"PixelSpacing": [0.2, 0.2], "PixelSpacingCalibrationType": "FIDUCIAL"}, "patient"),
        ({"PixelSpacing": [0.18, 0.18], "ImagerPixelSpacing": [0.2, 0.2]}, "patient"),
        ({"PixelSpacing": [0.2, 0.2], "ImagerPixelSpacing": [0.2, 0.2]}, "detector"),
        ({"PixelSpacing": [0.139, 0.139], "ImagerPixelSpacing": [0.138888, 0.138888]}, "detector"),
        ({"PixelSpacing": None, "ImagerPixelSpacing": [0.2, 0.2]}, "detector"),
        ({"PixelSpacing": [0.2, 0.2]}, None),
    ],
)
def test_where_a_radiograph_is_calibrated(tmp_path, changes, where):
    ds = ct_dataset(Modality="DX", ImagePositionPatient=None, ImageOrientationPatient=None, **changes)
    assert read_facts(write(tmp_path / "a.dcm", ds)).calibrated_at == where


@pytest.mark.parametrize("placed", [True, False])
def test_spacing_at_the_detector_is_none_of_an_image_that_has_a_place_in_the_patient(tmp_path, placed):
    ds = ct_dataset(PixelSpacing=None, ImagerPixelSpacing=[0.2, 0.3])
    if not placed:
        del ds.ImagePositionPatient
    (frame,) = read_facts(write(tmp_path / "a.dcm", ds)).frames
    assert frame.pixel_spacing_mm == (None if placed else (0.2, 0.3))


@pytest.mark.parametrize(
    ("charset", "written", "read"),
    [
        (b"ISO_IR 192", "Thorax süß".encode(), "Thorax süß"),
        (b"ISO_IR 100", "süß".encode("latin-1"), "süß"),
        (b"\\ISO 2022 IR 87", b"\x1b$B;3ED\x1b(B", "山田"),
        (b"KLINGON", b"tlh", "tlh"),
        (b"ISO_IR 192", b"\xff\xfe", "\ufffd\ufffd"),
    ],
)
def test_text_is_decoded_by_its_character_set_and_never_raises(tmp_path, charset, written, read):
    ds = ct_dataset()
    ds[0x00080005] = pydicom.DataElement(0x00080005, "UN", charset)
    ds[0x0008103E] = pydicom.DataElement(0x0008103E, "UN", written)
    assert read_facts(write(tmp_path / "a.dcm", ds)).series_description == read


@pytest.mark.parametrize("undefined_length", [False, True])
def test_functional_groups_give_each_frame_its_facts(tmp_path, undefined_length):
    ds = enhanced_mr_dataset(4)
    ds["PerFrameFunctionalGroupsSequence"].is_undefined_length = undefined_length
    frames = read_facts(write(tmp_path / "a.dcm", ds)).frames
    assert [frame.position_lps_mm[2] for frame in frames] == [3.0, 6.0, 3.0, 6.0]
    assert {frame.orientation for frame in frames} == {AXIAL}
    assert {(frame.pixel_spacing_mm, frame.slice_thickness_mm) for frame in frames} == {((1.0, 2.0), 3.0)}
    assert [frame.echo_time_ms for frame in frames] == [10.0, 10.0, 20.0, 20.0]
    assert [(frame.stack, frame.dimension) for frame in frames] == [("A", (1,)), ("A", (1,)), ("A", (2,)), ("A", (2,))]


@pytest.mark.parametrize(
    ("number", "count", "wanted"),
    [(1, 2, ("1.2.8", 1, 2)), (2, None, ("1.2.8", 2, None)), (None, 2, None), (0, 2, None), (1, 0, ("1.2.8", 1, None))],
)
def test_a_part_of_a_concatenation_says_which_it_is(tmp_path, number, count, wanted):
    stated = {"InConcatenationNumber": number, "InConcatenationTotalNumber": count}
    ds = ct_dataset(ConcatenationUID="1.2.8", **{name: one for name, one in stated.items() if one is not None})

    assert read_facts(write(tmp_path / "a.dcm", ds)).concatenation == wanted


@pytest.mark.parametrize("declared", [3, 0, 20_001, 2_000_000_000])
def test_a_number_of_frames_that_cannot_be_is_unreadable(tmp_path, declared):
    with pytest.raises(Unreadable, match="NumberOfFrames") as caught:
        read_facts(write(tmp_path / "a.dcm", enhanced_mr_dataset(declared)))
    assert caught.value.offending_tag in (0x00280008, 0x52009230)


def test_geometry_beside_functional_groups_is_no_frames(tmp_path):
    """An encoder places results by the groups alone."""
    ds = enhanced_mr_dataset()
    ds.ImageOrientationPatient, ds.PixelSpacing = list(AXIAL), [1, 2]
    for keyword in ("PlaneOrientationSequence", "PixelMeasuresSequence"):
        delattr(ds.SharedFunctionalGroupsSequence[0], keyword)
    frames = read_facts(write(tmp_path / "a.dcm", ds)).frames
    assert [frame.position_lps_mm[2] for frame in frames] == [3.0, 6.0, 3.0, 6.0]
    assert {(frame.orientation, frame.slice_thickness_mm) for frame in frames} == {(None, None)}


def test_frames_without_functional_groups_have_no_geometry_of_their_own(tmp_path):
    frames = read_facts(write(tmp_path / "a.dcm", ct_dataset(NumberOfFrames=3))).frames
    assert [frame.position_lps_mm for frame in frames] == [None, None, None]


@pytest.mark.parametrize("keyword", ["SOPInstanceUID", "SOPClassUID", "StudyInstanceUID", "SeriesInstanceUID"])
@pytest.mark.parametrize("value", ["", "../../x", "1.2\\1.3", "1" * 65])
def test_a_missing_or_malformed_uid_is_unreadable_and_named(tmp_path, keyword, value):
    ds = ct_dataset()
    ds.add(pydicom.DataElement(keyword, "LO", value))
    with pytest.raises(Unreadable, match=keyword) as caught:
        read_facts(write(tmp_path / "a.dcm", ds))
    assert caught.value.offending_tag == pydicom.datadict.tag_for_keyword(keyword)


def test_a_patient_id_too_long_to_be_one_is_not_taken_for_none(tmp_path):
    ds = ct_dataset()
    ds[0x00100020] = pydicom.DataElement(0x00100020, "UT", "P" * 100_000)
    with pytest.raises(Unreadable, match="PatientID"):
        read_facts(write(tmp_path / "a.dcm", ds))


@pytest.mark.parametrize("syntax", [uid.ExplicitVRLittleEndian, uid.ImplicitVRLittleEndian])
def test_a_file_cut_inside_an_element_is_unreadable(tmp_path, syntax):
    """Cut between two elements of its header it is a valid file, of an image without pixels."""
    ds = ct_dataset()
    path = write(tmp_path / "a.dcm", ds, syntax)
    whole = path.read_bytes()
    readable = []
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with contextlib.suppress(Unreadable):
            readable.append(read_facts(path).has_pixels)
    after_the_uids = [element for element in ds if element.tag > 0x0020000E]
    assert readable == [False] * len(after_the_uids)


def nested(depth: int) -> bytes:
    """Sequences of undefined length in each other, as explicit VR little endian."""
    item = struct.pack("<HHL", 0xFFFE, 0xE000, 0xFFFFFFFF)
    return (struct.pack("<HH2sHL", 0x0040, 0x0275, b"SQ", 0, 0xFFFFFFFF) + item) * depth


def test_sequences_nested_without_end_are_unreadable(tmp_path):
    path = write(tmp_path / "a.dcm", ct_dataset())
    whole = path.read_bytes()
    at = whole.index(struct.pack("<HH2sH", 0x0020, 0x000D, b"UI", 6))
    path.write_bytes(whole[:at] + nested(1000) + whole[at:])
    with pytest.raises(Unreadable, match="nested too deeply"):
        read_facts(path)


def test_a_value_that_declares_gigabytes_is_unreadable_and_nothing_is_allocated(tmp_path):
    path = write(tmp_path / "a.dcm", ct_dataset())
    whole = path.read_bytes()
    at = whole.index(struct.pack("<HH2sH", 0x0020, 0x000D, b"UI", 6))
    lie = struct.pack("<HH2sHL", 0x0020, 0x000D, b"UT", 0, 0xFFFFFFF0)
    path.write_bytes(whole[:at] + lie + whole[at:])
    with pytest.raises(Unreadable, match="4294967280 bytes"):
        read_facts(path)


def test_a_deflated_file_is_not_held_as_a_whole(tmp_path):
    """Of one that hardly shrinks only as much is read as is inflated."""
    ds = ct_dataset()
    ds.PixelData = random.Random(7).randbytes(1 << 24)
    path = write(tmp_path / "a.dcm", ds, uid.DeflatedExplicitVRLittleEndian)
    tracemalloc.start()
    with opened(path, TAGS, inflated_bytes=1 << 20) as file:
        assert not file.whole
    assert tracemalloc.get_traced_memory()[1] < 1 << 23
    tracemalloc.stop()


def test_a_value_of_thousands_of_bytes_is_not_interpreted(tmp_path):
    """pydicom takes seconds and gigabytes for the millions of numbers that such a value may hold."""
    ds = ct_dataset()
    ds[0x00200032] = pydicom.DataElement(0x00200032, "UT", "1\\2\\3" + " " * 5000)
    assert read_facts(write(tmp_path / "a.dcm", ds)).frames[0].position_lps_mm is None
