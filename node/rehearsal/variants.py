"""The grids on which the phantom is scanned: the demonstration's, a small one, and every orientation that matters."""

import math

from node.rehearsal.grid import Order, ScanGrid, Vector

DEMO = ScanGrid(rows=256, columns=256, slices=112, pixel_spacing_mm=(1.4, 1.4), slice_spacing_mm=2.8)
SMALL = ScanGrid(rows=112, columns=112, slices=76, pixel_spacing_mm=(3.0, 3.0), slice_spacing_mm=4.0)


def turned(direction: Vector, about_x_deg: float, about_z_deg: float) -> Vector:
    """A unit vector turned about the patient's x axis, then about z."""
    x, y, z = direction
    cos, sin = math.cos(math.radians(about_x_deg)), math.sin(math.radians(about_x_deg))
    y, z = y * cos - z * sin, y * sin + z * cos
    cos, sin = math.cos(math.radians(about_z_deg)), math.sin(math.radians(about_z_deg))
    return x * cos - y * sin, x * sin + y * cos, z


VARIANTS: dict[str, ScanGrid] = {
    "axial": SMALL,
    "sagittal": ScanGrid(
        rows=104, columns=104, slices=100, pixel_spacing_mm=(3.0, 3.0), slice_spacing_mm=3.2,
        row_direction=(0.0, 1.0, 0.0), column_direction=(0.0, 0.0, -1.0),
    ),
    "coronal": ScanGrid(
        rows=104, columns=112, slices=84, pixel_spacing_mm=(3.0, 3.0), slice_spacing_mm=3.0,
        row_direction=(1.0, 0.0, 0.0), column_direction=(0.0, 0.0, -1.0),
    ),
    "oblique": ScanGrid(
        rows=112, columns=124, slices=88, pixel_spacing_mm=(3.0, 3.0), slice_spacing_mm=4.2,
        row_direction=turned((1.0, 0.0, 0.0), 17.0, 15.0), column_direction=turned((0.0, 1.0, 0.0), 17.0, 15.0),
    ),
    "feet-first": ScanGrid(
        rows=112, columns=112, slices=76, pixel_spacing_mm=(3.0, 3.0), slice_spacing_mm=4.0,
        row_direction=(-1.0, 0.0, 0.0), patient_position="FFS",
    ),
    "reversed": ScanGrid(
        rows=112, columns=112, slices=76, pixel_spacing_mm=(3.0, 3.0), slice_spacing_mm=4.0, order=Order.REVERSED,
    ),
    "non-square": ScanGrid(rows=120, columns=100, slices=76, pixel_spacing_mm=(2.5, 3.4), slice_spacing_mm=4.0),
    "thick": ScanGrid(rows=144, columns=144, slices=62, pixel_spacing_mm=(2.4, 2.4), slice_spacing_mm=5.0),
}  # fmt: skip
"""One grid for each way in which a series can lie in the patient; each holds both lungs whole."""
