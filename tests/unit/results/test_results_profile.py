"""The forms a destination asks for: other classes, other types, other numbers, the same findings."""

from pathlib import Path

import highdicom as hd
import numpy as np
import pytest

from node.errors import ResultUnsound
from node.results.encode import Profile
from node.results.origin import read_origin
from node.results.profile import ReportClass, SegmentationType
from node.results.segmentation_check import check_segmentation
from node.results.stamp import Edition
from tests.unit.results.made import CARD, RUN, encoded, make_findings, make_series

LABELMAP = Profile(segmentation=SegmentationType.LABELMAP)
DISJOINT = ("low-attenuation",)


def test_a_label_map_holds_the_masks_voxel_for_voxel(tmp_path: Path) -> None:
    """Read back by the library it was not written with ours alone."""
    made = make_series(tmp_path)
    findings = make_findings(made, without=DISJOINT)
    encoded(tmp_path / "out", made, findings, profile=LABELMAP)

    seg = hd.seg.segread(tmp_path / "out" / "seg.dcm")
    frames = [uid for uid, _ in made.grid.frames]
    found = seg.get_pixels_by_source_instance(frames, ignore_spatial_locations=True, combine_segments=True)

    right, left = findings.segments[:2]
    assert seg.segmentation_type.value == "LABELMAP"
    assert np.array_equal(found == 1, right.mask)
    assert np.array_equal(found == 2, left.mask)


def test_masks_that_overlap_are_binary_whatever_was_asked_for(tmp_path: Path) -> None:
    """A label map could hold one of them only; the report refers to the class that was made."""
    made = make_series(tmp_path)
    found = encoded(tmp_path / "out", made, make_findings(made), profile=LABELMAP)

    assert found["seg"].SegmentationType == "BINARY"
    assert found["seg"].SOPClassUID in found["sr"].to_json()


def test_a_spoiled_label_map_is_found(tmp_path: Path) -> None:
    """One voxel of another segment."""
    made = make_series(tmp_path)
    findings = make_findings(made, without=DISJOINT)
    seg = encoded(tmp_path / "out", made, findings, profile=LABELMAP)["seg"]
    pixels = bytearray(seg.PixelData)
    pixels[next(at for at, value in enumerate(pixels) if value == 1)] = 2
    seg.PixelData = bytes(pixels)
    edition = Edition(read_origin(made.grid, made.paths), CARD, RUN, "", as_unicode=False, profile=LABELMAP)

    with pytest.raises(ResultUnsound, match="differs"):
        check_segmentation(tmp_path / "seg.dcm", seg, findings, edition)


def test_each_profile_has_objects_of_its_own_and_the_same_tracking(tmp_path: Path) -> None:
    """Other bytes never go under the same UID; a finding stays the same finding."""
    made = make_series(tmp_path)
    findings = make_findings(made)
    usual = encoded(tmp_path / "one", made, findings)
    other = encoded(tmp_path / "two", made, findings, profile=Profile(report=ReportClass.COMPREHENSIVE_3D))

    assert set(usual) == set(other)
    assert {one.SOPInstanceUID for one in usual.values()}.isdisjoint(one.SOPInstanceUID for one in other.values())
    assert [one.TrackingUID for one in usual["seg"].SegmentSequence] == [
        one.TrackingUID for one in other["seg"].SegmentSequence
    ]
    assert other["sr"].SOPClassUID.name == "Comprehensive 3D SR Storage"


def test_the_usual_profile_has_no_name() -> None:
    """What is in force where nothing is configured keeps its kinds and UIDs."""
    assert (Profile().kind("sr"), Profile().variant) == ("sr", "")
    assert Profile(series_base=7001).kind("sr").startswith("sr@")


def test_a_segmentation_beyond_the_limit_is_left_out_and_every_reader_is_told(tmp_path: Path) -> None:
    """Nothing refers to it; the report holds the regions, the presentation state draws them."""
    made = make_series(tmp_path)
    found = encoded(tmp_path / "out", made, make_findings(made), profile=Profile(largest_seg_bytes=10_000))

    assert "seg" not in found
    assert "gsps-0001" in found
    assert all("was not sent: this destination takes up to 0.01 MB" in found[one].to_json() for one in ("sr", "text"))
    assert "1.2.840.10008.5.1.4.1.1.66.4" not in found["sr"].to_json()
    assert len(hd.sr.MeasurementReport.from_sequence([found["sr"]]).get_volumetric_roi_measurement_groups()) == 3


def test_a_segmentation_may_be_written_compressed(tmp_path: Path) -> None:
    made = make_series(tmp_path)
    findings = make_findings(made)
    usual = encoded(tmp_path / "one", made, findings)["seg"]
    found = encoded(tmp_path / "two", made, findings, profile=Profile(is_seg_deflated=True))

    assert found["seg"].file_meta.TransferSyntaxUID.name == "Deflated Explicit VR Little Endian"
    assert found["sr"].file_meta.TransferSyntaxUID.name == "Explicit VR Little Endian"
    assert found["seg"].PixelData == usual.PixelData
    assert (tmp_path / "two" / "seg.dcm").stat().st_size < (tmp_path / "one" / "seg.dcm").stat().st_size


def test_descriptions_and_labels_begin_as_the_destination_wants(tmp_path: Path) -> None:
    made = make_series(tmp_path)
    found = encoded(tmp_path / "out", made, make_findings(made), profile=Profile(label="Research AI"))

    assert {one.SeriesDescription.split(" lung-ct ")[0] for one in found.values()} == {"Research AI"}
    assert found["seg"].ContentLabel == "RESEARCH_AI_SEGM"
