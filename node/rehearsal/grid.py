"""Where the voxels of a scan lie in the patient."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from node.rehearsal.chest.solids import Points

Vector = tuple[float, float, float]
Places = npt.NDArray[np.float64]
Box = tuple[slice, slice, slice]
"""Index ranges along slices, rows, columns."""
SLAB_VOXELS = 1 << 18


class Order(str, Enum):
    """How instance numbers run along the slice normal."""

    ASCENDING = "ascending"
    REVERSED = "reversed"


@dataclass(frozen=True)
class ScanGrid:
    """Where the voxels lie: a right-handed grid, its slices along row_direction x column_direction.

    pixel_spacing_mm: between rows, between columns, as PixelSpacing has it. row_direction, column_direction: unit LPS
    vectors as ImageOrientationPatient has them. centre_lps_mm: the middle of the whole grid.
    """

    rows: int
    columns: int
    slices: int
    pixel_spacing_mm: tuple[float, float]
    slice_spacing_mm: float
    row_direction: Vector = (1.0, 0.0, 0.0)
    column_direction: Vector = (0.0, 1.0, 0.0)
    centre_lps_mm: Vector = (0.0, 8.0, -14.0)
    order: Order = Order.ASCENDING
    patient_position: str = "HFS"

    @property
    def shape(self) -> tuple[int, int, int]:
        return self.slices, self.rows, self.columns

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        return self.slice_spacing_mm, *self.pixel_spacing_mm

    @property
    def affine_lps(self) -> npt.NDArray[np.float64]:
        """4 x 4 from (slice, row, column, 1) to the voxel's centre in LPS mm."""
        row, column = np.array(self.row_direction), np.array(self.column_direction)
        affine = np.eye(4)
        affine[:3, :3] = np.stack([np.cross(row, column), column, row], axis=1) * np.array(self.spacing_mm)
        affine[:3, 3] = np.array(self.centre_lps_mm) - affine[:3, :3] @ ((np.array(self.shape) - 1) / 2)
        return affine

    @property
    def voxel_ml(self) -> float:
        return float(np.prod(self.spacing_mm)) / 1000

    @property
    def whole(self) -> Box:
        return slice(0, self.slices), slice(0, self.rows), slice(0, self.columns)

    def points(self, box: Box) -> Points:
        """The centres of the voxels of an index box, along broadcastable axes where the grid is not oblique."""
        axes = np.ix_(*(np.arange(part.start, part.stop, dtype=np.float64) for part in box))
        found = []
        for row in self.affine_lps[:3]:
            place = np.full((1, 1, 1), row[3])
            for axis, step in zip(axes, row[:3], strict=True):
                if abs(step) > 1e-9:
                    place = place + axis * step
            found.append(place.astype(np.float32))
        return Points(*found)

    def slabs(self) -> Iterator[Box]:
        """Index boxes of a few slices each that fill the grid; none is a single slice."""
        count = max(1, min(self.slices // 2, self.rows * self.columns * self.slices // SLAB_VOXELS))
        edges = np.linspace(0, self.slices, count + 1).astype(int)
        for first, last in pairwise(edges.tolist()):
            yield slice(first, last), slice(0, self.rows), slice(0, self.columns)

    def boxes(self, lows: Places, highs: Places, within: Box) -> list[Box | None]:
        """The index box around each LPS box lows[i]..highs[i], (n, 3) in mm; None where it is outside `within`."""
        inverse = np.linalg.inv(self.affine_lps)
        middle = (lows + highs) / 2 @ inverse[:3, :3].T + inverse[:3, 3]
        reach = (highs - lows) / 2 @ np.abs(inverse[:3, :3]).T
        starts = np.array([part.start for part in within])
        stops = np.array([part.stop for part in within])
        first = np.clip(np.floor(middle - reach), starts, stops).astype(int).tolist()
        last = np.clip(np.ceil(middle + reach) + 1, starts, stops).astype(int).tolist()
        return [
            (slice(a[0], b[0]), slice(a[1], b[1]), slice(a[2], b[2]))
            if all(i < j for i, j in zip(a, b, strict=True))
            else None
            for a, b in zip(first, last, strict=True)
        ]
