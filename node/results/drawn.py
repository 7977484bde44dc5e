"""What a report draws: coordinates on source images, in the form that viewers show with the numbers beside it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import highdicom as hd
import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes

from ai.findings import Mask
from node.errors import ResultUnsound
from node.results.origin import Origin, SourceFrame
from node.results.outline import draw_outline

OUTLINE = codes.DCM.Outline
"""Of a region that a segment defines: an extra item of its group. (111030, DCM, "Image Region") would define the region
a second time, which TID 1411 forbids."""


@dataclass(frozen=True)
class Outlined:
    """A polygon, or one point, on one slice. points: (n, 2) of (column, row), image-relative."""

    slice_index: int
    points: npt.NDArray[np.float64]


def regions_of(outlines: Sequence[Outlined], origin: Origin) -> list[hd.sr.ImageRegion]:
    """(111030, DCM, "Image Region") items. Raises ResultUnsound for one outside the images."""
    regions = []
    for one in outlines:
        if not 0 <= one.slice_index < len(origin.frames):
            raise ResultUnsound(f"a detection lies on slice {one.slice_index + 1} of {len(origin.frames)}")
        if one.points.min() < 0 or (one.points.max(axis=0) > (origin.grid.columns, origin.grid.rows)).any():
            raise ResultUnsound(f"a detection on slice {one.slice_index + 1} leaves its image")
        frame = origin.frames[one.slice_index]
        kind = hd.sr.GraphicTypeValues.POINT if len(one.points) == 1 else hd.sr.GraphicTypeValues.POLYLINE
        numbers = None if frame.frame_number is None else [frame.frame_number]
        source = hd.sr.SourceImageForRegion(frame.sop_class_uid, frame.sop_instance_uid, numbers)
        region = hd.sr.ImageRegion(kind, one.points, source)
        setattr(region, "ContentSequence", hd.sr.ContentSequence([selected_from(frame)]))  # noqa: B010  its type is narrower
        regions.append(region)
    return regions


def outline_of(mask: Mask, origin: Origin) -> hd.sr.ScoordContentItem:
    """The region's outline on its key slice. Some viewers show a group of numbers only where it draws something."""
    outline = draw_outline(mask)
    item = hd.sr.ScoordContentItem(
        name=OUTLINE,
        graphic_type=hd.sr.GraphicTypeValues.POLYLINE,
        graphic_data=outline.points,
        relationship_type=hd.sr.RelationshipTypeValues.CONTAINS,
    )
    item.ContentSequence = hd.sr.ContentSequence([selected_from(origin.frames[outline.slice_index])])
    return item


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
    number = reference.get("ReferencedFrameNumber")
    named = (reference.ReferencedSOPInstanceUID, None if number is None else int(number))
    index = next((i for i, one in enumerate(origin.frames) if (one.sop_instance_uid, one.frame_number) == named), None)
    if index is None:
        raise ResultUnsound(f"{path.name}: an outline is on {named}, which is not in the grid")
    points = np.array(item.GraphicData, np.float64).reshape(-1, 2)
    rows, columns = mask.shape[1:]
    if points.min() < 0 or points[:, 0].max() > columns or points[:, 1].max() > rows:
        raise ResultUnsound(f"{path.name}: an outline leaves its image")
    if not _near(mask[index], points).all():
        raise ResultUnsound(f"{path.name}: an outline on slice {index + 1} is not where its segment is")


def _near(plane: Mask, points: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    """Whether each point (column, row) has a pixel of the mask under it or beside it."""
    padded = np.pad(plane, 2)
    column, row = (np.floor(points[:, axis]).astype(np.intp) + 2 for axis in (0, 1))
    steps = (-1, 0, 1)
    beside = [padded[row + down, column + right] for down in steps for right in steps]
    near: npt.NDArray[np.bool_] = np.any(beside, axis=0)
    return near
