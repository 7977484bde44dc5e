"""The RT Structure Set (PS3.3 A.19): a contour round every part of each segment, slice by slice, in the patient."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset
from pydicom.uid import RTStructureSetStorage

from ai.contract import SegmentCard
from ai.findings import Findings
from ai.masks import voxels_by_slice
from ai.volume import Volume
from node.errors import ResultUnsound
from node.results.checks import expect
from node.results.contours import areas_of
from node.results.drawn import beside
from node.results.origin import Origin
from node.results.outline import Points
from node.results.segmentation import mask_of
from node.results.stamp import Edition, new_object, stamp
from node.results.stand_ins import instance_references
from node.results.uids import RenditionKind
from node.results.wording import present_segments

MOST_POINTS = 2000
"""Contour Data is text with a 16-bit length (PS3.5 section 7.1.2): three coordinates of up to ten bytes a point."""

DETACHED_STUDY_MANAGEMENT = "1.2.840.10008.3.1.2.3.1"
"""SOP class under which structure sets refer to a study (PS3.3 C.8.8.5.2)."""

PLANE_TOLERANCE_MM = 0.01
PIXEL_TOLERANCE = 0.02
"""What writing coordinates to a thousandth of a millimetre may move them by, in pixels of at least 0.05 mm."""


def build_structures(findings: Findings, edition: Edition, _volume: Volume) -> Iterator[tuple[str, Dataset]]:
    """The structure set, named; none where nothing was segmented, or the source has no place in a patient."""
    present = present_segments(findings, edition.card)
    if edition.origin.is_flat or not present:
        return
    kind = RenditionKind.RTSTRUCT
    result = new_object(edition, kind, RTStructureSetStorage, "RTSTRUCT")
    result.FrameOfReferenceUID = edition.origin.grid.frame_of_reference_uid
    result.PositionReferenceIndicator = edition.origin.position_reference
    result.StructureSetLabel = "AI"
    result.StructureSetName = edition.series_description(kind)
    result.OperatorsName = ""
    result.ApprovalStatus = "UNAPPROVED"
    result.ReferencedFrameOfReferenceSequence = [_frame_of_reference(edition.origin)]
    numbered = list(enumerate(present, 1))
    result.StructureSetROISequence = [_region(number, one, edition) for number, one in numbered]
    result.ROIContourSequence = [_contours(number, one, findings, edition.origin) for number, one in numbered]
    result.RTROIObservationsSequence = [_observation(number, one) for number, one in numbered]
    stamp(result, edition, RenditionKind.RTSTRUCT, body_part=True)
    result.StructureSetDate, result.StructureSetTime = result.SeriesDate, result.SeriesTime
    yield "rtstruct", result


def _frame_of_reference(origin: Origin) -> Dataset:
    series, study, item = Dataset(), Dataset(), Dataset()
    series.SeriesInstanceUID = origin.grid.series_uid
    series.ContourImageSequence = instance_references(origin)
    study.ReferencedSOPClassUID = DETACHED_STUDY_MANAGEMENT
    study.ReferencedSOPInstanceUID = origin.grid.study_uid
    study.RTReferencedSeriesSequence = [series]
    item.FrameOfReferenceUID = origin.grid.frame_of_reference_uid
    item.RTReferencedStudySequence = [study]
    return item


def _region(number: int, segment: SegmentCard, edition: Edition) -> Dataset:
    item = Dataset()
    item.ROINumber, item.ROIName = number, segment.label
    item.ReferencedFrameOfReferenceUID = edition.origin.grid.frame_of_reference_uid
    item.ROIGenerationAlgorithm = "AUTOMATIC"
    item.ROIGenerationDescription = f"{edition.card.name} {edition.card.version}"[:64]
    return item


def _observation(number: int, segment: SegmentCard) -> Dataset:
    item = Dataset()
    item.ObservationNumber = item.ReferencedROINumber = number
    item.ROIObservationLabel = segment.label[:16]
    item.RTROIInterpretedType = ""
    item.ROIInterpreter = ""
    return item


def _contours(number: int, segment: SegmentCard, findings: Findings, origin: Origin) -> Dataset:
    item, mask = Dataset(), mask_of(findings, segment)
    item.ReferencedROINumber = number
    item.ROIDisplayColor = list(segment.colour_rgb)
    item.ContourSequence = [
        _contour(points, int(index), origin)
        for index in np.flatnonzero(voxels_by_slice(mask))
        for points in areas_of(mask[index])
    ]
    for place, contour in enumerate(item.ContourSequence, 1):
        contour.ContourNumber = place
    return item


def _contour(points: Points, index: int, origin: Origin) -> Dataset:
    """points: closed. The last, which is the first again, is left out: a closed contour needs it not."""
    step = -(-(len(points) - 1) // MOST_POINTS)
    frame, item, image = origin.frames[index], Dataset(), Dataset()
    image.ReferencedSOPClassUID, image.ReferencedSOPInstanceUID = frame.sop_class_uid, frame.sop_instance_uid
    if frame.frame_number is not None:
        image.ReferencedFrameNumber = frame.frame_number
    placed = _in_patient(points[:-1:step], index, origin)
    item.ContourImageSequence = [image]
    item.ContourGeometricType = "CLOSED_PLANAR"
    item.NumberOfContourPoints = len(placed)
    item.ContourData = [f"{value:.3f}" for value in placed.ravel()]
    return item


def _in_patient(points: Points, index: int, origin: Origin) -> Points:
    """(column, row), image-relative, on one frame to LPS mm: the first pixel's centre is 0.5, 0.5."""
    frame = origin.frames[index]
    row_mm, column_mm = frame.pixel_spacing_mm
    row_way, column_way = np.array(frame.orientation[:3]), np.array(frame.orientation[3:])
    across, down = (points[:, 0] - 0.5) * column_mm, (points[:, 1] - 0.5) * row_mm
    placed: Points = np.array(frame.position_lps_mm) + np.outer(across, row_way) + np.outer(down, column_way)
    return placed


def check_structures(path: Path, found: Dataset, findings: Findings, edition: Edition, _volume: Volume) -> None:
    """Every contour lies in the plane of the image it names, at the rim of its segment there, on each slice of it."""
    present, origin = present_segments(findings, edition.card), edition.origin
    expect(path, "regions", [one.ROIName for one in found.StructureSetROISequence], [one.label for one in present])
    expect(path, "FrameOfReferenceUID", found.FrameOfReferenceUID, origin.grid.frame_of_reference_uid)
    for segment, item in zip(present, found.ROIContourSequence, strict=True):
        mask, reached = mask_of(findings, segment), set()
        for contour in item.ContourSequence:
            index = origin.index_of(contour.ContourImageSequence[0])
            if index is None:
                raise ResultUnsound(f"{path.name}: a contour is on an image that is not of the source")
            points = np.array(contour.ContourData, np.float64).reshape(-1, 3)
            expect(path, "number of points", contour.NumberOfContourPoints, len(points))
            if not beside(mask[index], _on_image(path, points, index, origin)).all():
                raise ResultUnsound(f"{path.name}: a contour on slice {index + 1} is not where {segment.key!r} is")
            reached.add(index)
        expect(path, f"slices of {segment.key}", reached, set(np.flatnonzero(voxels_by_slice(mask)).tolist()))


def _on_image(path: Path, points: Points, index: int, origin: Origin) -> Points:
    """By the grid's affine, not by the frame the points were placed with. Raises ResultUnsound off the plane."""
    affine = np.array(origin.grid.affine_lps, np.float64)
    places: Points = (points - affine[:3, 3]) @ np.linalg.inv(affine[:3, :3]).T
    spacing_mm = float(np.linalg.norm(affine[:3, 0]))
    if np.abs(places[:, 0] - index).max() * spacing_mm > max(PLANE_TOLERANCE_MM, spacing_mm / 10):
        raise ResultUnsound(f"{path.name}: a contour leaves the plane of slice {index + 1}")
    rows, columns = origin.grid.rows, origin.grid.columns
    drawn = places[:, [2, 1]] + 0.5
    if drawn.min() < -PIXEL_TOLERANCE or (drawn.max(axis=0) > np.array([columns, rows]) + PIXEL_TOLERANCE).any():
        raise ResultUnsound(f"{path.name}: a contour leaves its image")
    return np.clip(drawn, 0, [columns, rows])
