"""Signed fields of simple solids: about the distance in mm from the surface, negative inside.

Every function takes points in LPS mm as broadcastable float32 arrays, so that one description serves whole grids and
single points alike.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Field = npt.NDArray[np.floating]
"""float32 throughout; typed more widely because NumPy's stubs widen the result of a division."""
Point = tuple[float, float, float]


class Points(NamedTuple):
    """Where to look: LPS coordinates in mm, three float32 arrays that broadcast against each other."""

    x: Field
    y: Field
    z: Field

    def seen_from(self, origin: Point) -> "Points":
        return Points(self.x - origin[0], self.y - origin[1], self.z - origin[2])


@dataclass(frozen=True)
class Tube:
    """A round-ended tube from `start` to `end` (LPS mm), its radius going from `start_mm` to `end_mm`."""

    start: Point
    end: Point
    start_mm: float
    end_mm: float

    def field(self, at: Points, wider_mm: float = 0.0) -> Field:
        """The tube's field after it was widened all around by `wider_mm`."""
        distance, radius = self.axis(at)
        return distance - radius - wider_mm

    def axis(self, at: Points) -> tuple[Field, Field]:
        """Distance in mm from the tube's axis, and the tube's radius at the nearest point of the axis."""
        dx, dy, dz = (b - a for a, b in zip(self.start, self.end, strict=True))
        x, y, z = at.seen_from(self.start)
        along = np.clip((x * dx + y * dy + z * dz) * (1 / max(dx * dx + dy * dy + dz * dz, 1e-6)), 0, 1)
        distance = np.sqrt((x - along * dx) ** 2 + (y - along * dy) ** 2 + (z - along * dz) ** 2)
        return distance, self.start_mm + along * (self.end_mm - self.start_mm)


def polyline(points: tuple[Point, ...], radii_mm: tuple[float, ...]) -> tuple[Tube, ...]:
    """Tubes along a line of points, with the radius given at each."""
    ends = zip(points, points[1:], radii_mm, radii_mm[1:], strict=False)
    return tuple(Tube(a, b, ra, rb) for a, b, ra, rb in ends)


def tubes(at: Points, parts: tuple[Tube, ...], wider_mm: float = 0.0) -> Field:
    """The union of tubes."""
    field = parts[0].field(at, wider_mm)
    for part in parts[1:]:
        field = np.minimum(field, part.field(at, wider_mm))
    return field


def ellipsoid(at: Points, centre: Point, radii_mm: Point) -> Field:
    """An ellipsoid along the patient's axes: zero on its surface, its distance to first order beside it."""
    x, y, z = at.seen_from(centre)
    a, b, c = (1 / radius for radius in radii_mm)
    scaled = np.sqrt((x * a) ** 2 + (y * b) ** 2 + (z * c) ** 2)
    steepness = np.sqrt((x * (a * a)) ** 2 + (y * (b * b)) ** 2 + (z * (c * c)) ** 2)
    field: Field = scaled * (scaled - 1) / np.maximum(steepness, 1e-4)
    return field


def oval(across: Field, along: Field, radii_mm: tuple[float, float]) -> Field:
    """An endless column of oval section, along whichever axis the two coordinates leave out."""
    scaled = np.sqrt((across * (1 / radii_mm[0])) ** 2 + (along * (1 / radii_mm[1])) ** 2)
    field: Field = (scaled - 1) * (sum(radii_mm) / 2)
    return field


def turned(at: Points, centre: Point, about_y_deg: float = 0.0, about_z_deg: float = 0.0) -> Points:
    """The points as a solid sees them that was turned about its centre, first about y, then about z."""
    x, y, z = at.seen_from(centre)
    cos, sin = math.cos(math.radians(about_z_deg)), math.sin(math.radians(about_z_deg))
    x, y = x * cos + y * sin, y * cos - x * sin
    cos, sin = math.cos(math.radians(about_y_deg)), math.sin(math.radians(about_y_deg))
    x, z = x * cos + z * sin, z * cos - x * sin
    return Points(x + centre[0], y + centre[1], z + centre[2])


def either(first: Field, second: Field, rounding_mm: float = 0.0) -> Field:
    """The union, its grooves filled over about `rounding_mm`."""
    joined: Field = np.minimum(first, second)
    if rounding_mm <= 0:
        return joined
    near: Field = np.maximum(rounding_mm - np.abs(first - second), 0)
    return joined - near * near * (0.25 / rounding_mm)


def both(first: Field, second: Field, rounding_mm: float = 0.0) -> Field:
    """The intersection, its edges rounded over about `rounding_mm`."""
    return -either(-first, -second, rounding_mm)


def ramp(value: Field, start: float, end: float) -> Field:
    """0 up to `start`, 1 from `end` on, a smooth step between."""
    t: Field = np.clip((value - start) / (end - start), 0, 1)
    return t * t * (3 - 2 * t)
