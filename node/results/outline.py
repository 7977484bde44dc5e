"""The outline of a region on one slice, as the polygon that a report's reader sees drawn there."""

from dataclasses import dataclass

import contourpy
import numpy as np
import numpy.typing as npt

from ai.findings import Mask
from ai.masks import voxels_by_slice

Points = npt.NDArray[np.float64]

TOLERANCE_PX = 0.25
"""How far a simplified outline may lie from the true one: less than anyone can see."""
MOST_POINTS = 4000
"""An FL value is written with a 16-bit length (PS3.5 section 7.1.2), which leaves room for 8191 points."""
LONG_LINE = 20_000
"""Simplifying takes up to the square of a line's length: longer ones, which only noise has, are thinned out evenly."""


@dataclass(frozen=True)
class Outline:
    """The largest connected part of a region on the slice where the region is largest.

    slice_index: along the grid's slice axis. points: (n, 2) of (column, row), closed, in image-relative coordinates:
    0, 0 is the outer corner of the first pixel, 0.5, 0.5 its centre (PS3.3 C.18.6.1.2).
    """

    slice_index: int
    points: Points


def draw_outline(mask: Mask) -> Outline:
    """The outline of a mask (slices, rows, columns) with at least one voxel."""
    index = int(np.argmax(voxels_by_slice(mask)))
    padded = np.pad(mask[index], 1).astype(np.float64)
    lines: list[Points] = contourpy.contour_generator(z=padded).lines(0.5)  # type: ignore[assignment]
    largest = max(lines, key=area)
    return Outline(index, simplified(largest - 0.5))


def area(line: Points) -> float:
    """Of a closed polygon, by the shoelace formula."""
    x, y = line[:, 0], line[:, 1]
    return abs(float(np.dot(x[:-1], y[1:]) - np.dot(x[1:], y[:-1]))) / 2


def simplified(line: Points) -> Points:
    """The same line with as few points as the tolerance allows; one too long to be written is drawn coarser."""
    kept = _douglas_peucker(line, TOLERANCE_PX) if len(line) <= LONG_LINE else line
    step = -(-len(kept) // (MOST_POINTS - 1))
    return kept if step == 1 else np.vstack([kept[:-1:step], kept[-1]])


def _douglas_peucker(line: Points, tolerance: float) -> Points:
    """Douglas and Peucker 1973, without recursion; both ends are the same point and stay."""
    keep = np.zeros(len(line), np.bool_)
    keep[[0, -1]] = True
    parts = [(0, len(line) - 1)]
    while parts:
        begin, end = parts.pop()
        if end - begin < 2:
            continue
        distances = _distances(line[begin + 1 : end], line[begin], line[end])
        furthest = int(np.argmax(distances))
        if distances[furthest] > tolerance:
            middle = begin + 1 + furthest
            keep[middle] = True
            parts += [(begin, middle), (middle, end)]
    return line[keep]


def _distances(points: Points, start: Points, end: Points) -> Points:
    """From the straight line between two points, or from the one point where they are the same."""
    way, offsets = end - start, points - start
    length = float(np.hypot(*way))
    if length == 0:
        return np.hypot(offsets[:, 0], offsets[:, 1])
    found: Points = np.abs(way[0] * offsets[:, 1] - way[1] * offsets[:, 0]) / length
    return found
