"""What a report draws: coordinates on source images, in the form that viewers show with the numbers beside it."""

from collections.abc import Sequence
from pathlib import Path

import highdicom as hd
import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes

from ai.findings import Mask
from node.core.study import SourceGrid
from node.errors import ResultUnsound
from node.results.origin import Origin, SourceFrame
from node.results.outline import draw_outline
from node.results.outlined import Outlined

RegionGroup = (
    hd.sr.VolumetricROIMeasurementsAndQualitativeEvaluations | hd.sr.PlanarROIMeasurementsAndQualitativeEvaluations
)
"""A report's group about a region that viewers draw."""

OUTLINE = codes.DCM.Outline
"""Of a region that a segment defines: an extra item of its group. (111030, DCM, "Image Region") would define the region
a second time, which TID 1411 forbids."""

CENTER = codes.DCM.Center
"""Of a detection that is a point: an extra item of its group, before what defines its region."""


def check_inside(outlines: Sequence[Outlined], grid: SourceGrid) -> None:
    """Raises ResultUnsound for a detection outside the images, which no kind of object could show."""
    for one in outlines:
        if not 0 <= one.slice_index < len(grid.frames):
            raise ResultUnsound(f"a detection lies on slice {one.slice_index + 1} of {len(grid.frames)}")
        if one.points.min() < 0 or (one.points.max(axis=0) > (grid.columns, grid.rows)).any():
            raise ResultUnsound(f"a detection on slice {one.slice_index + 1} leaves its image")


def regions_of(outlines: Sequence[Outlined], origin: Origin) -> list[hd.sr.ImageRegion]:
    """(111030, DCM, "Image Region") items."""
    regions = []
    for one in outlines:
        frame = origin.frames[one.slice_index]
        kind = hd.sr.GraphicTypeValues.POINT if len(one.points) == 1 else hd.sr.GraphicTypeValues.POLYLINE
        numbers = None if frame.frame_number is None else [frame.frame_number]
        source = hd.sr.SourceImageForRegion(frame.sop_class_uid, frame.sop_instance_uid, numbers)
        region = hd.sr.ImageRegion(kind, region_points(one.points), source)
        setattr(region, "ContentSequence", hd.sr.ContentSequence([selected_from(frame)]))  # noqa: B010  its type is narrower
        regions.append(region)
    return regions


def region_points(points: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """A closed line of three or four corners with a point midway on each edge; others as they are.

    OHIF takes an Image Region of four or five points for a rectangle of its own, asks whether to load those of the
    report, and drops all other regions where its reader agrees.
    """
    if len(points) not in (4, 5):
        return points
    midways = (points[:-1] + points[1:]) / 2
    return np.vstack([np.stack([points[:-1], midways], axis=1).reshape(-1, 2), points[-1:]])


def outline_of(mask: Mask, origin: Origin) -> hd.sr.ScoordContentItem:
    """The region's outline on its key slice. Some viewers show a group of numbers only where it draws something."""
    outline = draw_outline(mask)
    return line_of(Outlined(outline.slice_index, outline.points), origin)


def line_of(line: Outlined, origin: Origin) -> hd.sr.ScoordContentItem:
    """A closed line, or a point, beside what defines a group's region."""
    is_point = len(line.points) == 1
    item = hd.sr.ScoordContentItem(
        name=CENTER if is_point else OUTLINE,
        graphic_type=hd.sr.GraphicTypeValues.POINT if is_point else hd.sr.GraphicTypeValues.POLYLINE,
        graphic_data=line.points,
        relationship_type=hd.sr.RelationshipTypeValues.CONTAINS,
    )
    item.ContentSequence = hd.sr.ContentSequence([selected_from(origin.frames[line.slice_index])])
    return item


def surface_of(outlines: Sequence[Outlined], origin: Origin) -> hd.sr.VolumeSurface:
    """The same lines as (121231, DCM, "Volume Surface") in the patient (SCOORD3D); one point stays a point.

    A surface has two lines at least: that of a single slice is drawn where the slice begins and where it ends.
    """
    places = [(float(one.slice_index), one.points) for one in sorted(outlines, key=lambda one: one.slice_index)]
    is_point = len(places[0][1]) == 1
    if len(places) == 1 and not is_point:
        ((index, points),) = places
        places = [(index - 0.5, points), (index + 0.5, points)]
    kinds = hd.sr.GraphicTypeValues3D
    return hd.sr.VolumeSurface(
        graphic_type=kinds.POINT if is_point else kinds.POLYGON,
        graphic_data=[in_patient(points, index, origin) for index, points in places],
        frame_of_reference_uid=str(origin.grid.frame_of_reference_uid),
        source_series=hd.sr.SourceSeriesForSegmentation(origin.grid.series_uid),
    )


def in_patient(points: npt.NDArray[np.float64], index: float, origin: Origin) -> npt.NDArray[np.float64]:
    """(column, row), image-relative, at a slice of the grid, to LPS mm."""
    affine = np.array(origin.grid.affine_lps, np.float64)
    places = np.column_stack([np.full(len(points), index), points[:, 1] - 0.5, points[:, 0] - 0.5])
    placed: npt.NDArray[np.float64] = places @ affine[:3, :3].T + affine[:3, 3]
    return placed


def selected_from(frame: SourceFrame) -> hd.sr.ImageContentItem:
    """The image that coordinates are of; some viewers draw only under this purpose, of the two that are in use."""
    return hd.sr.ImageContentItem(
        name=codes.DCM.OriginalSource,
        referenced_sop_class_uid=frame.sop_class_uid,
        referenced_sop_instance_uid=frame.sop_instance_uid,
        referenced_frame_numbers=frame.frame_number,
        relationship_type=hd.sr.RelationshipTypeValues.SELECTED_FROM,
    )


def check_outline(path: Path, item: Dataset, mask: Mask, origin: Origin) -> None:
    """Every point of an outline read back lies at the rim of the mask, on the slice whose image it names."""
    reference = item.ContentSequence[0].ReferencedSOPSequence[0]
    index = origin.index_of(reference)
    if index is None:
        raise ResultUnsound(f"{path.name}: an outline is on {reference.ReferencedSOPInstanceUID}, not in the grid")
    points = np.array(item.GraphicData, np.float64).reshape(-1, 2)
    rows, columns = mask.shape[1:]
    if points.min() < 0 or points[:, 0].max() > columns or points[:, 1].max() > rows:
        raise ResultUnsound(f"{path.name}: an outline leaves its image")
    if not beside(mask[index], points).all():
        raise ResultUnsound(f"{path.name}: an outline on slice {index + 1} is not where its segment is")


def beside(plane: Mask, points: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    """Whether each point (column, row) has a pixel of the mask under it or beside it."""
    padded = np.pad(plane, 2)
    column, row = (np.floor(points[:, axis]).astype(np.intp) + 2 for axis in (0, 1))
    steps = (-1, 0, 1)
    beside = [padded[row + down, column + right] for down in steps for right in steps]
    near: npt.NDArray[np.bool_] = np.any(beside, axis=0)
    return near
