"""Checks a Segmentation read back from its bytes: segments, voxels and where each frame lies."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset

from ai.contract import SegmentCard
from ai.findings import Findings, Mask
from node.errors import ResultUnsound
from node.results.checks import expect
from node.results.coding import same_code
from node.results.origin import Origin
from node.results.segmentation import mask_of
from node.results.stamp import Edition
from node.results.wording import present_segments

PLACE_TOLERANCE_MM = 0.001
EVERY_SEGMENT = 0
ORIENTATION_TOLERANCE = 0.001
"""What viewers accept between the orientation of a segmentation and of its source."""


def check_segmentation(path: Path, found: Dataset, findings: Findings, edition: Edition) -> None:
    """Segments, voxels and geometry: every frame is the mask of its segment at the source frame it names."""
    present = present_segments(findings, edition.card)
    is_label_map = found.SegmentationType == "LABELMAP"
    segments = list(found.SegmentSequence)[is_label_map:]  # a label map's first is its background
    expect(path, "segment numbers", [item.SegmentNumber for item in segments], [*range(1, len(present) + 1)])
    for item, segment in zip(segments, present, strict=True):
        _check_segment(path, item, segment, edition)
    expect(path, "FrameOfReferenceUID", found.FrameOfReferenceUID, edition.origin.grid.frame_of_reference_uid)
    shared = found.SharedFunctionalGroupsSequence[0]
    orientation = shared.PlaneOrientationSequence[0].ImageOrientationPatient
    spacing = shared.PixelMeasuresSequence[0].PixelSpacing
    _check_plane(path, orientation, spacing, edition.origin)
    _check_frames(path, found, [mask_of(findings, segment) for segment in present], edition.origin)


def _check_segment(path: Path, item: Dataset, segment: SegmentCard, edition: Edition) -> None:
    name = f"segment {item.SegmentNumber}"
    expect(path, f"{name} label", item.SegmentLabel, segment.label)
    expect(path, f"{name} tracking UID", item.TrackingUID, edition.run.tracking_uid(segment.key))
    type_item = item.SegmentedPropertyTypeCodeSequence[0]
    codes = [(item.SegmentedPropertyCategoryCodeSequence[0], segment.category), (type_item, segment.type)]
    if segment.modifier:
        codes.append((type_item.SegmentedPropertyTypeModifierCodeSequence[0], segment.modifier))
    for found, expected in codes:
        if not same_code(found, expected):
            raise ResultUnsound(f"{path.name}: {name} is coded {found.CodeMeaning!r}, its card says {expected}")


def _check_plane(path: Path, orientation: Iterable[float], spacing: Iterable[float], origin: Origin) -> None:
    written = np.array([float(value) for value in orientation])
    steps = np.array([float(value) for value in spacing])
    affine = np.array(origin.grid.affine_lps)
    for frame in origin.frames:
        if not np.allclose(written, frame.orientation, atol=ORIENTATION_TOLERANCE):
            raise ResultUnsound(f"{path.name}: its orientation {written} is not that of {frame.sop_instance_uid}")
    if not np.allclose(steps, np.linalg.norm(affine[:3, 1:3], axis=0), rtol=0.001):
        raise ResultUnsound(f"{path.name}: its pixel spacing {steps} is not that of the grid")


def _check_frames(path: Path, found: Dataset, masks: list[Mask], origin: Origin) -> None:
    """Each frame is read for itself: where it says it lies decides with which slice of which mask it is compared."""
    index_of = {frame.name: index for index, frame in enumerate(origin.frames)}
    is_label_map = found.SegmentationType == "LABELMAP"
    groups, seen = _GroupsRead(), set[tuple[int, int]]()
    areas = np.array([[np.count_nonzero(plane) for plane in mask] for mask in masks])
    for number, item in enumerate(found.PerFrameFunctionalGroupsSequence):
        reference = groups.of(item, "DerivationImageSequence").SourceImageSequence[0]
        frame_number = reference.get("ReferencedFrameNumber")
        index = index_of.get((reference.ReferencedSOPInstanceUID, None if frame_number is None else int(frame_number)))
        if index is None:
            raise ResultUnsound(f"{path.name}: frame {number + 1} names a source frame that is not in the grid")
        place = np.array([float(value) for value in groups.of(item, "PlanePositionSequence").ImagePositionPatient])
        if np.abs(place - origin.frames[index].position_lps_mm).max() > PLACE_TOLERANCE_MM:
            raise ResultUnsound(f"{path.name}: frame {number + 1} lies at {place}, its source elsewhere")
        if is_label_map:
            segment = EVERY_SEGMENT
            is_equal = _is_label_plane(found, number, masks, areas, index)
        else:
            holder = item if "SegmentIdentificationSequence" in item else found.SharedFunctionalGroupsSequence[0]
            segment = int(groups.of(holder, "SegmentIdentificationSequence").ReferencedSegmentNumber)
            is_equal = np.array_equal(_frame_bits(found, number), masks[segment - 1][index])
        if not is_equal:
            raise ResultUnsound(f"{path.name}: frame {number + 1} differs from slice {index + 1} of segment {segment}")
        seen.add((segment, index))
    expected = {(int(segment) + 1, int(index)) for segment, index in np.argwhere(areas)}
    if is_label_map:
        expected = {(EVERY_SEGMENT, index) for _, index in expected}
    expect(path, "slices of segments", sorted(seen), sorted(expected))
    expect(path, "number of frames", int(found.NumberOfFrames), len(expected))


class _GroupsRead:
    """Functional groups of frames; those with the same bytes are decoded once."""

    def __init__(self) -> None:
        self._decoded: dict[bytes, Dataset] = {}

    def of(self, item: Dataset, keyword: str) -> Dataset:
        """The group's item, of one frame or of all."""
        raw = item.get_item(keyword)
        if not isinstance(raw, RawDataElement) or raw.value is None:
            return item[keyword].value[0]
        if raw.value not in self._decoded:
            self._decoded[raw.value] = item[keyword].value[0]
        return self._decoded[raw.value]


def _is_label_plane(found: Dataset, number: int, masks: list[Mask], areas: npt.NDArray[np.intp], index: int) -> bool:
    """Every segment's number stands where its mask is; and no more voxels are labelled than the masks have."""
    size = found.Rows * found.Columns
    labels = np.frombuffer(found.PixelData, np.uint8, count=size, offset=number * size)
    labels = labels.reshape(found.Rows, found.Columns)
    here = np.flatnonzero(areas[:, index])
    return np.count_nonzero(labels) == areas[:, index].sum() and all(
        np.array_equal(labels == segment + 1, masks[segment][index]) for segment in here
    )


def _frame_bits(found: Dataset, number: int) -> npt.NDArray[np.bool_]:
    """One frame of one-bit pixels; frames follow one another without padding (PS3.5 section 8.1.1)."""
    size = found.Rows * found.Columns
    begin, end = number * size, (number + 1) * size
    packed = np.frombuffer(found.PixelData, np.uint8, count=-(-end // 8) - begin // 8, offset=begin // 8)
    bits = np.unpackbits(packed, bitorder="little")[begin % 8 : begin % 8 + size]
    return bits.reshape(found.Rows, found.Columns).view(np.bool_)
