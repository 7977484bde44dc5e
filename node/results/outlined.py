"""Where detections are drawn: polygons on slices, for reports, pages and the operator's pictures alike."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from ai.findings import Detection, Mask, Shape

POINT_MARK = np.array([[-6.0, -6.0], [6.0, -6.0], [6.0, 6.0], [-6.0, 6.0]])


@dataclass(frozen=True)
class Outlined:
    """A polygon, or one point, on one slice. points: (n, 2) of (column, row), image-relative."""

    slice_index: int
    points: npt.NDArray[np.float64]


def outlines_of(found: Detection) -> list[Outlined]:
    """Where a detection is drawn, image-relative: the first pixel's centre is 0.5, 0.5 (PS3.3 C.18.6.1.2)."""
    places = found.points[:, [2, 1]] + 0.5
    slices = np.round(found.points[:, 0]).astype(int)
    if found.shape is Shape.BOX:
        (left, top), (right, bottom) = places.min(axis=0), places.max(axis=0)
        corners = np.array([[left, top], [right, top], [right, bottom], [left, bottom], [left, top]])
        middle = (slices.min() + slices.max()) // 2
        crossed = sorted(range(slices.min(), slices.max() + 1), key=lambda index: abs(index - middle))
        return [Outlined(index, corners) for index in crossed]
    closed = places if found.shape is Shape.POINT else np.vstack([places, places[:1]])
    return [Outlined(int(slices[0]), closed)]


def detected_masks(detections: Sequence[Detection], index: int, shape: tuple[int, ...]) -> dict[tuple[int, str], Mask]:
    """The detections that one slice shows, by number and key: the pixels that each encloses, a square round a point."""
    shown: dict[tuple[int, str], Mask] = {}
    for number, found in enumerate(detections, 1):
        for outline in outlines_of(found):
            if outline.slice_index != index:
                continue
            image = Image.new("1", (shape[1], shape[0]))
            points = outline.points if len(outline.points) > 1 else outline.points + POINT_MARK
            ImageDraw.Draw(image).polygon([(float(x), float(y)) for x, y in points], fill=1)
            shown[number, found.key] = np.array(image, np.bool_)
    return shown
