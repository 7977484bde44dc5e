"""Directions and positions of image planes in the patient (LPS, mm)."""

import math
from collections.abc import Sequence
from itertools import pairwise

from node.core.study import Orientation, Vector

Cosines = tuple[float, float, float, float, float, float]

UNIT_TOLERANCE = 0.01
"""How far row and column cosines may be from unit length and from square; older scanners write two decimals."""

OBLIQUE_DEG = 20.0
"""Beyond this angle from the nearest patient axis a plane is called oblique."""


def dot(a: Vector, b: Vector) -> float:
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


def difference(a: Vector, b: Vector) -> Vector:
    return (a[0] - b[0], a[1] - b[1], a[2] - b[2])


def length(a: Vector) -> float:
    return math.sqrt(dot(a, a))


def unit(a: Vector) -> Vector:
    """The vector at length 1. Raises ZeroDivisionError for a vector without length."""
    size = length(a)
    return (a[0] / size, a[1] / size, a[2] / size)


def row_direction(cosines: Cosines) -> Vector:
    """Direction in which the column index grows (PS3.3 C.7.6.2.1.1: the first triplet)."""
    return cosines[0:3]


def column_direction(cosines: Cosines) -> Vector:
    """Direction in which the row index grows (PS3.3 C.7.6.2.1.1: the second triplet)."""
    return cosines[3:6]


def normal(cosines: Cosines) -> Vector:
    """Unit vector across the slices: row cosines x column cosines."""
    row, column = row_direction(cosines), column_direction(cosines)
    return unit(
        (
            row[1] * column[2] - row[2] * column[1],
            row[2] * column[0] - row[0] * column[2],
            row[0] * column[1] - row[1] * column[0],
        )
    )


def is_plane(cosines: Cosines) -> bool:
    """Whether the cosines span a plane: two directions of unit length, square to each other."""
    row, column = row_direction(cosines), column_direction(cosines)
    faults = (length(row) - 1.0, length(column) - 1.0, dot(row, column))
    return all(abs(fault) <= UNIT_TOLERANCE for fault in faults)


def plane_of(cosines: Cosines) -> Orientation:
    """Name of the plane: by the patient axis nearest to its normal, oblique beyond OBLIQUE_DEG."""
    sagittal, coronal, axial = (abs(part) for part in normal(cosines))
    nearest, plane = max(
        (axial, Orientation.AXIAL), (coronal, Orientation.CORONAL), (sagittal, Orientation.SAGITTAL), key=lambda x: x[0]
    )
    return plane if nearest >= math.cos(math.radians(OBLIQUE_DEG)) else Orientation.OBLIQUE


def angle_deg(a: Vector, b: Vector) -> float:
    """Angle between two lines, 0 to 90 degrees, whichever way they point."""
    cosine = abs(dot(a, b)) / (length(a) * length(b))
    return math.degrees(math.acos(min(1.0, cosine)))


def gaps_mm(along_mm: Sequence[float]) -> list[float]:
    """Distances of neighbours in an ascending row of places."""
    return [after - before for before, after in pairwise(along_mm)]
