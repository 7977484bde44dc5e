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
    return [simplified(line) for line in lines_of(plane)]


def lines_of(plane: Mask) -> list[Points]:
    """The same lines with all their points."""
    part, corner = _part(plane)
    lines = cast(list[Points], contourpy.contour_generator(z=part).lines(0.5))
    return [line + corner for line in lines]


def areas_of(plane: Mask) -> Iterator[Points]:
    """Each part as one closed line; its holes are reached by channels without width ("keyhole", PS3.3 C.8.8.6.3)."""
    part, corner = _part(plane)
    generator = contourpy.contour_generator(z=part, fill_type=contourpy.FillType.OuterOffset)
    parts, offsets = cast(tuple[list[Points], list[list[int]]], generator.filled(0.5, 1.5))
    for points, ends in zip(parts, offsets, strict=True):
        outer, *holes = [simplified(points[begin:end] + corner) for begin, end in pairwise(ends)]
        yield reduce(_with_hole, holes, outer)


def _part(plane: Mask) -> tuple[Points, Points]:
    """The part of a slice that is not empty, with a rim of nothing to close every line, and where it begins."""
    (rows, columns) = (np.flatnonzero(plane.any(axis=axis)) for axis in (1, 0))
    if not len(rows):
        return np.zeros((2, 2)), np.zeros(2)
    part = plane[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return np.pad(part, 1).astype(np.float64), np.array([columns[0], rows[0]]) - 0.5


def _with_hole(outer: Points, hole: Points) -> Points:
    """To the hole where it is nearest, round it, and back."""
    distances = np.linalg.norm(outer[:, np.newaxis] - hole[np.newaxis], axis=2)
    leave, enter = np.unravel_index(int(np.argmin(distances)), distances.shape)
    return np.vstack([outer[: leave + 1], hole[enter:-1], hole[: enter + 1], outer[leave:]])
