"""Checks a Segmentation read back from its bytes: segments, voxels and where each frame lies."""

import math
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Generic, TypeVar

import numpy as np
import numpy.typing as npt
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset

from ai.contract import SegmentCard
from ai.findings import Findings, Mask
from ai.masks import voxels_by_slice
from node.errors import ResultUnsound
from node.results.checks import expect
from node.results.coding import same_code
from node.results.origin import Origin
from node.results.segmentation import mask_of
from node.results.stamp import Edition
from node.results.wording import present_segments

T = TypeVar("T")

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
    index_of: dict[tuple[str, int | None], int] = {frame.name: index for index, frame in enumerate(origin.frames)}
    slices = _Group("DerivationImageSequence", lambda group: index_of.get(_source_of(group)))
    places = _Group("PlanePositionSequence", lambda group: [float(value) for value in group.ImagePositionPatient])
    segments = _Group("SegmentIdentificationSequence", lambda group: int(group.ReferencedSegmentNumber))
    shared, is_label_map = found.SharedFunctionalGroupsSequence[0], found.SegmentationType == "LABELMAP"
    areas = np.stack([voxels_by_slice(mask) for mask in masks])
    seen: set[tuple[int, int]] = set()
    for number, item in enumerate(found.PerFrameFunctionalGroupsSequence):
        index, place = slices.of(item), places.of(item)
        if index is None:
            raise ResultUnsound(f"{path.name}: frame {number + 1} names a source frame that is not in the grid")
        if math.dist(place, origin.frames[index].position_lps_mm) > PLACE_TOLERANCE_MM:
            raise ResultUnsound(f"{path.name}: frame {number + 1} lies at {place}, its source elsewhere")
        if is_label_map:
            segment, is_equal = EVERY_SEGMENT, _are_labels(found, number, masks, areas, index)
        else:
            segment = segments.of(item if segments.keyword in item else shared)
            is_equal = np.array_equal(_frame_bits(found, number), masks[segment - 1][index])
        if not is_equal:
            raise ResultUnsound(f"{path.name}: frame {number + 1} differs from slice {index + 1} of segment {segment}")
        seen.add((segment, index))
    expected = {(EVERY_SEGMENT if is_label_map else int(at) + 1, int(index)) for at, index in np.argwhere(areas)}
    expect(path, "slices of segments", sorted(seen), sorted(expected))
    expect(path, "number of frames", int(found.NumberOfFrames), len(expected))


def _source_of(group: Dataset) -> tuple[str, int | None]:
    """The instance that a Derivation Image item names, and the frame of a multi-frame one."""
    reference = group.SourceImageSequence[0]
    number = reference.get("ReferencedFrameNumber")
    return reference.ReferencedSOPInstanceUID, None if number is None else int(number)


class _Group(Generic[T]):
    """Reads one functional group of every frame; where its bytes are those of another's, it is decoded once."""

    def __init__(self, keyword: str, read: Callable[[Dataset], T]) -> None:
        self.keyword, self._read = keyword, read
        self._known: dict[bytes, T] = {}

    def of(self, item: Dataset) -> T:
        raw = item.get_item(self.keyword)
        if not isinstance(raw, RawDataElement) or raw.value is None:
            return self._read(item[self.keyword].value[0])
        if raw.value not in self._known:
            self._known[raw.value] = self._read(item[self.keyword].value[0])
        return self._known[raw.value]


def _are_labels(found: Dataset, number: int, masks: list[Mask], areas: npt.NDArray[np.intp], index: int) -> bool:
    """Every segment's number stands where its mask is; and no more voxels are labelled than the masks have."""
    size = found.Rows * found.Columns
    labels = np.frombuffer(found.PixelData, np.uint8, count=size, offset=number * size)
    labels = labels.reshape(found.Rows, found.Columns)
    here = np.flatnonzero(areas[:, index])
    is_equal = (np.array_equal(labels == segment + 1, masks[segment][index]) for segment in here)
    return bool(np.count_nonzero(labels) == areas[:, index].sum()) and all(is_equal)


def _frame_bits(found: Dataset, number: int) -> npt.NDArray[np.bool_]:
    """One frame of one-bit pixels; frames follow one another without padding (PS3.5 section 8.1.1)."""
    size = found.Rows * found.Columns
    begin, end = number * size, (number + 1) * size
    packed = np.frombuffer(found.PixelData, np.uint8, count=-(-end // 8) - begin // 8, offset=begin // 8)
    bits = np.unpackbits(packed, bitorder="little")[begin % 8 : begin % 8 + size]
    return bits.reshape(found.Rows, found.Columns).view(np.bool_)
