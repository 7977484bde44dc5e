"""What result objects take over from the images they were made from, read without touching pixels."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError

from node.core.identity import ClassUID, InstanceUID, Registered
from node.core.study import SourceGrid, Vector
from node.errors import IsocenterError, ResultUnsound
from node.results.carried import Element, carried_elements
from node.results.corrected import correct
from node.results.readable import read_header

Cosines = tuple[float, float, float, float, float, float]

LONG_STRING = 64
GROUPS = "PerFrameFunctionalGroupsSequence"

PER_INSTANCE = (
    *("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "Rows", "Columns"),
    *("InstanceNumber", "ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing"),
    *("SliceThickness", "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"),
    *("ImagerPixelSpacing", "PixelAspectRatio"),
)
"""What is read of each instance after the first."""


@dataclass(frozen=True)
class Place:
    """Where a frame lies: its first pixel's centre, and its row and column cosines (PS3.3 C.7.6.2)."""

    position_lps_mm: Vector
    orientation: Cosines


@dataclass(frozen=True)
class SourceFrame:
    """One frame of the grid. frame_number: None where the instance is a single-frame image.

    place: None where the image has none in a patient (a radiograph). pixel_spacing_mm: (row, column); only their ratio
    means anything where the image is not calibrated.
    """

    sop_instance_uid: InstanceUID
    sop_class_uid: ClassUID
    frame_number: int | None
    instance_number: str
    place: Place | None
    pixel_spacing_mm: tuple[float, float]
    slice_thickness_mm: float | None

    @property
    def position_lps_mm(self) -> Vector:
        """Raises ResultUnsound where the frame has no place in a patient."""
        return self._placed().position_lps_mm

    @property
    def orientation(self) -> Cosines:
        """Row and column cosines. Raises ResultUnsound where the frame has no place in a patient."""
        return self._placed().orientation

    def _placed(self) -> Place:
        if self.place is None:
            raise ResultUnsound(f"source instance {self.sop_instance_uid} has no position in a patient")
        return self.place

    @property
    def name(self) -> tuple[InstanceUID, int | None]:
        """What a reference to it states: the instance and, of a multi-frame image, the frame."""
        return self.sop_instance_uid, self.frame_number


@dataclass(frozen=True)
class Origin:
    """The source of a run.

    header: of the grid's first instance, without pixels. carried: its shared attributes, undecoded.
    frames: in the grid's order. paths: the files, by instance. registered: whose study it is where that was corrected.
    """

    grid: SourceGrid
    header: Dataset
    carried: tuple[Element, ...]
    frames: tuple[SourceFrame, ...]
    paths: Mapping[InstanceUID, Path]
    registered: Registered | None = None

    @property
    def is_flat(self) -> bool:
        """Whether the source is a single image without a place in a patient: a radiograph."""
        return self.grid.affine_lps is None

    @property
    def extent(self) -> str:
        """How much was analysed, in words."""
        return "1 image" if self.is_flat else f"{len(self.frames)} slices"

    def index_of(self, reference: Dataset) -> int | None:
        """The slice that an item of a reference sequence names, None where it is not of the grid."""
        number = reference.get("ReferencedFrameNumber")
        named = (reference.get("ReferencedSOPInstanceUID"), None if number is None else int(number))
        return next((index for index, one in enumerate(self.frames) if one.name == named), None)

    def read(self, uid: InstanceUID) -> Dataset:
        """The whole header of one instance, without pixels. Raises IsocenterError where its file cannot be read."""
        header = _read(uid, self.paths, whole=True)
        if self.registered is not None:
            correct(header, self.registered)
        return header

    @property
    def instances(self) -> dict[InstanceUID, ClassUID]:
        """Every source instance once, with its class."""
        return {frame.sop_instance_uid: frame.sop_class_uid for frame in self.frames}

    @property
    def slice_spacing_mm(self) -> float:
        """Distance of neighbouring slices, from the grid."""
        return float(np.linalg.norm([row[0] for row in self.grid.affine_lps[:3]])) if self.grid.affine_lps else 0.0

    @property
    def position_reference(self) -> str:
        """Position Reference Indicator; empty where it is longer than its representation allows (PS3.5 table 6.2-1)."""
        stated = self.text("PositionReferenceIndicator")
        return stated if len(stated) <= LONG_STRING else ""

    def text(self, keyword: str) -> str:
        """An attribute of the first instance as text, empty where it is absent."""
        value = self.header.get(keyword)
        return "" if value is None else str(value).strip()


def read_origin(
    grid: SourceGrid, source_paths: Mapping[InstanceUID, Path], registered: Registered | None = None
) -> Origin:
    """Read the headers of the grid's instances. registered: whose they are where that was corrected meanwhile.

    Raises IsocenterError where the grid has no geometry or a file is missing or unreadable, ResultUnsound where
    the files are not those of the grid or do not lie where it says.
    """
    if (grid.affine_lps is None or grid.frame_of_reference_uid is None) and len(grid.frames) > 1:
        raise IsocenterError(
            f"series {grid.series_uid}: its images have no position in the patient, so they are no volume; "
            "results can be made of each single one"
        )
    headers: dict[InstanceUID, Dataset] = {}
    for uid, _ in grid.frames:
        if uid not in headers:
            headers[uid] = _read(uid, source_paths, whole=not headers)
            _check_identity(headers[uid], uid, grid)
    first = headers[grid.frames[0][0]]
    if registered is not None:
        correct(first, registered)
    if grid.affine_lps is None:
        ((_, number),) = grid.frames
        return Origin(grid, first, carried_elements(first), (_flat_frame(first, number),), source_paths, registered)
    frames = tuple(_frame(headers[uid], number) for uid, number in grid.frames)
    _check_places(frames, grid)
    return Origin(grid, first, carried_elements(first), frames, source_paths, registered)


def _read(uid: InstanceUID, source_paths: Mapping[InstanceUID, Path], *, whole: bool) -> Dataset:
    if uid not in source_paths:
        raise IsocenterError(f"no file is given for source instance {uid}; the spool must hold the whole stack")
    path = source_paths[uid]
    try:
        if whole:
            return read_header(path)
        return pydicom.dcmread(path, stop_before_pixels=True, specific_tags=list(PER_INSTANCE))
    except (OSError, InvalidDicomError) as error:
        raise IsocenterError(f"source instance {uid} cannot be read from {path}: {error}") from error


def _check_identity(header: Dataset, uid: InstanceUID, grid: SourceGrid) -> None:
    expected = (uid, grid.series_uid, grid.study_uid)
    found = tuple(str(header.get(name)) for name in ("SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID"))
    if found != expected:
        raise ResultUnsound(f"source file of {uid}: instance, series and study are {found}, expected {expected}")
    size = (header.get("Rows"), header.get("Columns"))
    if size != (grid.rows, grid.columns):
        raise ResultUnsound(
            f"source instance {uid} has {size} rows and columns, its grid ({grid.rows}, {grid.columns})"
        )


def _frame(header: Dataset, number: int) -> SourceFrame:
    """Where one frame lies: from the image itself, or from its functional groups (PS3.3 C.7.6.16)."""
    grouped = GROUPS in header
    try:
        place = _group(header, number, "PlanePositionSequence") if grouped else header
        plane = _group(header, number, "PlaneOrientationSequence") if grouped else header
        measures = _group(header, number, "PixelMeasuresSequence") if grouped else header
        x, y, z = (float(value) for value in place.ImagePositionPatient)
        rx, ry, rz, cx, cy, cz = (float(value) for value in plane.ImageOrientationPatient)
        row_mm, column_mm = (float(value) for value in measures.PixelSpacing)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise ResultUnsound(
            f"source instance {header.SOPInstanceUID}, frame {number}: its position cannot be read ({error})"
        ) from error
    return SourceFrame(
        sop_instance_uid=InstanceUID(str(header.SOPInstanceUID)),
        sop_class_uid=ClassUID(str(header.SOPClassUID)),
        frame_number=number if grouped else None,
        instance_number=str(header.get("InstanceNumber") or ""),
        place=Place((x, y, z), (rx, ry, rz, cx, cy, cz)),
        pixel_spacing_mm=(row_mm, column_mm),
        slice_thickness_mm=next(iter(_positive(measures, "SliceThickness", 1)), None),
    )


def _flat_frame(header: Dataset, number: int) -> SourceFrame:
    """A frame without a place in a patient: a radiograph, or one of an angiography's frames that differ in phase."""
    stated = (_positive(header, name, 2) for name in ("PixelSpacing", "ImagerPixelSpacing", "PixelAspectRatio"))
    row_mm, column_mm = next((value for value in stated if value), (1.0, 1.0))
    return SourceFrame(
        sop_instance_uid=InstanceUID(str(header.SOPInstanceUID)),
        sop_class_uid=ClassUID(str(header.SOPClassUID)),
        frame_number=number if GROUPS in header else None,
        instance_number=str(header.get("InstanceNumber") or ""),
        place=None,
        pixel_spacing_mm=(row_mm, column_mm),
        slice_thickness_mm=None,
    )


def _positive(attributes: Dataset, keyword: str, count: int) -> tuple[float, ...]:
    """So many numbers above 0; empty where the attribute is absent or malformed, as it then is to the gate."""
    try:
        found = tuple(float(value) for value in np.ravel(attributes.get(keyword)))
    except (TypeError, ValueError):
        return ()
    return found if len(found) == count and all(0 < one < np.inf for one in found) else ()


def _group(header: Dataset, number: int, keyword: str) -> Dataset:
    """A functional group of one frame, or where that says nothing the one that all frames share."""
    own = header.PerFrameFunctionalGroupsSequence[number - 1]
    item: Dataset = (own if own.get(keyword) else header.SharedFunctionalGroupsSequence[0])[keyword][0]
    return item


def _check_places(frames: tuple[SourceFrame, ...], grid: SourceGrid) -> None:
    """The grid's slice k must be the frame that lies there: within half a slice along it and half a pixel across."""
    affine = np.array(grid.affine_lps, dtype=np.float64)
    across = affine[:3, 0] / np.linalg.norm(affine[:3, 0])
    tolerance = np.linalg.norm(affine[:3, :3], axis=0) / 2
    for index, frame in enumerate(frames):
        offset = np.array(frame.position_lps_mm) - (affine[:3, 0] * index + affine[:3, 3])
        along = float(offset @ across)
        sideways = float(np.linalg.norm(offset - along * across))
        if abs(along) > tolerance[0] or sideways > min(tolerance[1:]):
            raise ResultUnsound(
                f"source instance {frame.sop_instance_uid}, frame {frame.frame_number or 1}: it lies "
                f"{np.linalg.norm(offset):.2f} mm from slice {index} of the grid it is said to be"
            )
