"""The closed lines round every part of a region on one slice."""

from collections.abc import Iterator
from functools import reduce
from itertools import pairwise
from typing import cast

import contourpy
import numpy as np

from ai.findings import Mask
from node.results.outline import Points, simplified


def contours_of(plane: Mask) -> list[Points]:
    """A closed line round every part and every hole: (n, 2) of (column, row), image-relative (PS3.3 C.18.6.1.2)."""
    lines = cast(list[Points], contourpy.contour_generator(z=_padded(plane)).lines(0.5))
    return [simplified(line - 0.5) for line in lines]


def areas_of(plane: Mask) -> Iterator[Points]:
    """Each part as one closed line; its holes are reached by channels without width ("keyhole", PS3.3 C.8.8.6.3)."""
    generator = contourpy.contour_generator(z=_padded(plane), fill_type=contourpy.FillType.OuterOffset)
    parts, offsets = cast(tuple[list[Points], list[list[int]]], generator.filled(0.5, 1.5))
    for points, ends in zip(parts, offsets, strict=True):
        outer, *holes = [simplified(points[begin:end] - 0.5) for begin, end in pairwise(ends)]
        yield reduce(_with_hole, holes, outer)


def _padded(plane: Mask) -> Points:
    """A rim of nothing, so that every line is closed."""
    return np.pad(plane, 1).astype(np.float64)


def _with_hole(outer: Points, hole: Points) -> Points:
    """To the hole where it is nearest, round it, and back."""
    distances = np.linalg.norm(outer[:, np.newaxis] - hole[np.newaxis], axis=2)
    leave, enter = np.unravel_index(int(np.argmin(distances)), distances.shape)
    return np.vstack([outer[: leave + 1], hole[enter:-1], hole[: enter + 1], outer[leave:]])
