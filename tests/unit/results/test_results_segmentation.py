"""The Segmentation: voxels where the source has them, segments as the card names them."""

from collections.abc import Callable
from pathlib import Path

import highdicom as hd
import numpy as np
import pydicom
import pytest
from highdicom.color import CIELabColor

from ai.findings import Findings, Segment
from tests.unit.results.made import (
    AXIAL,
    CARD,
    FRAME_OF_REFERENCE,
    OBLIQUE,
    RUN,
    SAGITTAL,
    Made,
    encoded,
    make_enhanced,
    make_findings,
    make_series,
)
from tests.unit.results.real import real_enhanced

Maker = Callable[..., Made]


@pytest.mark.parametrize("maker", [make_series, make_enhanced])
@pytest.mark.parametrize("orientation", [AXIAL, SAGITTAL, OBLIQUE])
def test_every_voxel_comes_back_where_the_source_has_it(tmp_path: Path, maker: Maker, orientation: tuple) -> None:
    """An independent reader finds each mask at its own coordinates, from single-frame and multi-frame sources."""
    made = maker(tmp_path, orientation=orientation, rows=13, columns=7)
    findings = make_findings(made)
    encoded(tmp_path / "out", made, findings)

    volume = hd.seg.segread(tmp_path / "out" / "seg.dcm").get_volume(combine_segments=False)

    for number, segment in enumerate(findings.segments):
        found = np.argwhere(volume.array[..., number])
        expected = np.argwhere(segment.mask)
        assert len(found) == len(expected) > 0
        assert _places(found, volume.affine) == pytest.approx(_places(expected, made.volume.affine_lps), abs=1e-3)


def _places(indices: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """Sorted LPS positions of voxels."""
    places = np.round(indices @ affine[:3, :3].T + affine[:3, 3], 3)
    return places[np.lexsort(places.T)]


@pytest.mark.parametrize("maker", [make_series, make_enhanced])
def test_a_frame_names_the_source_frame_it_lies_on(tmp_path: Path, maker: Maker) -> None:
    """Instance, and frame number of a multi-frame instance, are of the slice at the same position."""
    made = maker(tmp_path)
    seg = encoded(tmp_path / "out", made, make_findings(made))["seg"]
    sources = {uid: pydicom.dcmread(path) for uid, path in made.paths.items()}

    for item in seg.PerFrameFunctionalGroupsSequence:
        reference = item.DerivationImageSequence[0].SourceImageSequence[0]
        source = sources[reference.ReferencedSOPInstanceUID]
        if "ReferencedFrameNumber" in reference:
            place = source.PerFrameFunctionalGroupsSequence[reference.ReferencedFrameNumber - 1].PlanePositionSequence[
                0
            ]
        else:
            place = source
        assert item.PlanePositionSequence[0].ImagePositionPatient == place.ImagePositionPatient
        assert reference.SpatialLocationsPreserved == "YES"
        assert reference.ReferencedSOPClassUID == source.SOPClassUID
    referenced = seg.ReferencedSeriesSequence[0].ReferencedInstanceSequence
    assert {item.ReferencedSOPInstanceUID for item in referenced} == set(sources)
    assert len(referenced) == len(sources)


def test_segments_are_named_coded_coloured_and_tracked_as_the_card_says(tmp_path: Path) -> None:
    """Numbers run from 1 in the card's order; overlapping segments are said to overlap."""
    made = make_series(tmp_path)
    seg = encoded(tmp_path / "out", made, make_findings(made))["seg"]

    assert [item.SegmentNumber for item in seg.SegmentSequence] == [1, 2, 3]
    assert [item.SegmentLabel for item in seg.SegmentSequence] == [one.label for one in CARD.segments]
    right = seg.SegmentSequence[0]
    assert (
        right.SegmentedPropertyTypeCodeSequence[0].SegmentedPropertyTypeModifierCodeSequence[0].CodeMeaning == "Right"
    )
    assert right.TrackingUID == RUN.tracking_uid("right-lung")
    colours = [CIELabColor.from_dicom_value(item.RecommendedDisplayCIELabValue) for item in seg.SegmentSequence]
    assert [colour.to_rgb() for colour in colours] == [one.colour_rgb for one in CARD.segments]
    algorithm = right.SegmentationAlgorithmIdentificationSequence[0]
    assert (algorithm.AlgorithmName, algorithm.AlgorithmVersion, algorithm.AlgorithmSource) == (
        CARD.name,
        CARD.version,
        CARD.vendor,
    )
    assert seg.SegmentsOverlap == "YES"


def test_numbers_close_up_where_a_segment_is_empty(tmp_path: Path) -> None:
    """An empty segment is left out and the next takes its number: viewers count from 1 without gaps."""
    made = make_series(tmp_path)
    seg = encoded(tmp_path / "out", made, make_findings(made, without=("right-lung",)))["seg"]

    assert [(item.SegmentNumber, item.TrackingID) for item in seg.SegmentSequence] == [
        (1, "left-lung"),
        (2, "low-attenuation"),
    ]


def test_one_slice_is_as_far_from_the_next_as_it_is_thick(tmp_path: Path) -> None:
    """There is no next one; but readers take a segment's volume from it, and a millimetre would be made up."""
    made = make_series(tmp_path, slices=1)
    mask = np.zeros((1, 40, 36), np.bool_)
    mask[0, 3:9, 3:9] = True
    findings = Findings(segments=(Segment("right-lung", mask, "ct"),))

    seg = encoded(tmp_path / "out", made, findings)["seg"]

    measures = seg.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
    assert (measures.SliceThickness, measures.SpacingBetweenSlices) == (5.0, 5.0)


def test_there_is_no_segmentation_of_nothing(tmp_path: Path) -> None:
    """Where every mask is empty no SEG is made, and the report is still there."""
    made = make_series(tmp_path)
    found = encoded(tmp_path / "out", made, make_findings(made, without=("right-lung", "left-lung", "low-attenuation")))

    assert "seg" not in found
    assert "sr" in found


def test_slices_with_frames_of_reference_of_their_own_get_the_grids(tmp_path: Path) -> None:
    """The grid's frame of reference is used, whatever the slices say."""
    made = make_series(tmp_path, frames_of_reference=False)
    seg = encoded(tmp_path / "out", made, make_findings(made))["seg"]

    assert seg.FrameOfReferenceUID == FRAME_OF_REFERENCE


@pytest.mark.real("data")
def test_a_real_enhanced_object_keeps_its_voxels(tmp_path: Path, data: Path) -> None:
    """A sagittal Enhanced MR with its orientation in per-frame groups: 96 frames of one instance."""
    made = real_enhanced(min((data / "mr-brain-enhanced").glob("*.dcm")))
    findings = make_findings(made)

    seg = encoded(tmp_path / "out", made, findings)["seg"]
    volume = hd.seg.segread(tmp_path / "out" / "seg.dcm").get_volume(combine_segments=False)

    assert len(seg.SourceImageSequence) == 1
    for number, segment in enumerate(findings.segments):
        found = _places(np.argwhere(volume.array[..., number]), volume.affine)
        assert found == pytest.approx(_places(np.argwhere(segment.mask), made.volume.affine_lps), abs=2e-3)
