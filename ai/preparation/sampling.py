"""Interpolation between two grids joined by one affine of their indices: along axes by numpy, across them by ITK."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ai.preparation.images import Array, Values, itk
from ai.volume import Affine

Shape = tuple[int, int, int]
Indices = npt.NDArray[np.int64]

NEAREST, LINEAR, BSPLINE = INTERPOLATIONS = ("nearest", "linear", "bspline")
EXACT = 1e-6
"""Parts of a voxel below this are rounding, not a place between voxels."""


@dataclass(frozen=True)
class Along:
    """Where the new voxels of one axis lie among the old: between `lower` and `upper`, `weight` of the way."""

    lower: Indices
    upper: Indices
    weight: Values
    inside: npt.NDArray[np.bool_]

    @property
    def nearest(self) -> Indices:
        found: Indices = np.where(self.weight > 0.5, self.upper, self.lower)
        return found

    @property
    def between(self) -> bool:
        return bool(self.weight.any())


@dataclass(frozen=True)
class Axes:
    """An affine of indices that keeps axes apart. order: the old axis for each new one."""

    order: tuple[int, int, int]
    slices: Along
    rows: Along
    columns: Along

    @property
    def whole(self) -> bool:
        """Every new voxel is an old one: nothing is interpolated."""
        return not (self.slices.between or self.rows.between or self.columns.between)

    def plane(self, turned: Array, k: int) -> Array:
        """Slice k of the new grid by nearest neighbour, from the old array on the new order of axes."""
        nearest: Array = turned[self.slices.nearest[k]][np.ix_(self.rows.nearest, self.columns.nearest)]
        return nearest

    def linear_plane(self, turned: Array, k: int) -> Values:
        """Slice k of the new grid by linear interpolation, from the old array on the new order of axes."""
        lower, upper, weight = self.slices.lower[k], self.slices.upper[k], self.slices.weight[k]
        plane = turned[lower].astype(np.float32)
        if weight:
            plane += weight * (turned[upper].astype(np.float32) - plane)
        rows, columns = self.rows, self.columns
        first = plane[rows.lower]
        if rows.between:
            first += rows.weight[:, None] * (plane[rows.upper] - first)
        left: Values = np.take(first, columns.lower, axis=1)
        if columns.between:
            left += columns.weight * (np.take(first, columns.upper, axis=1) - left)
        return left

    def blank(self, plane: Array, k: int, outside: float) -> None:
        """Set what lies outside the old grid."""
        if not self.slices.inside[k]:
            plane[:] = outside
        plane[~self.rows.inside] = outside
        plane[:, ~self.columns.inside] = outside


def axes_between(to_old: Affine, old: tuple[int, ...], new: tuple[int, ...]) -> Axes | None:
    """How the new grid samples the old along its axes, or None where the affine mixes axes."""
    matrix = to_old[:3, :3]
    largest = np.abs(matrix).max()
    kept = np.abs(matrix) > EXACT * largest
    if not (np.all(kept.sum(axis=0) == 1) and np.all(kept.sum(axis=1) == 1)):
        return None
    order = [int(np.flatnonzero(kept[:, axis])[0]) for axis in range(3)]
    found = [_along(matrix[order[a], a], to_old[order[a], 3], old[order[a]], new[a]) for a in range(3)]
    return Axes((order[0], order[1], order[2]), *found)


def _along(step: float, start: float, old: int, new: int) -> Along:
    places = step * np.arange(new) + start
    inside = (places >= -0.5 - EXACT) & (places <= old - 0.5 + EXACT)
    places = np.clip(places, 0, old - 1)
    lower = np.minimum(np.floor(places + EXACT).astype(np.int64), max(0, old - 2))
    weight = (places - lower).astype(np.float32)
    weight[np.abs(weight) < EXACT] = 0
    weight[np.abs(weight - 1) < EXACT] = 1
    last = weight == 1
    lower[last], weight[last] = lower[last] + 1, 0
    return Along(lower, np.minimum(lower + 1, old - 1), weight, inside)


def resampled(array: Array, to_old: Affine, shape: Shape, interpolation: str, outside: float | None) -> Array:
    """The array on a grid whose indices `to_old` (4 x 4) maps to those of the array.

    interpolation: nearest keeps the type, linear and bspline give float32. outside: the value of voxels more than
    half a voxel outside the array; None repeats its edge.
    """
    axes = axes_between(to_old, array.shape, shape) if interpolation != BSPLINE else None
    if axes is None:
        return _across(array, to_old, shape, interpolation, outside)
    turned = array.transpose(axes.order)
    made = np.empty(shape, dtype=array.dtype if interpolation == NEAREST or axes.whole else np.float32)
    for k in range(shape[0]):
        made[k] = (
            axes.plane(turned, k)
            if made.dtype == array.dtype and _nearest(interpolation, axes)
            else (axes.linear_plane(turned, k))
        )
        if outside is not None:
            axes.blank(made[k], k, outside)
    return made


def _nearest(interpolation: str, axes: Axes) -> bool:
    return interpolation == NEAREST or axes.whole


def _across(array: Array, to_old: Affine, shape: Shape, interpolation: str, outside: float | None) -> Array:
    """Any affine, by SimpleITK, in coordinates of indices."""
    kind = {NEAREST: itk.sitkNearestNeighbor, LINEAR: itk.sitkLinear, BSPLINE: itk.sitkBSpline}[interpolation]
    source = np.ascontiguousarray(array)
    image = itk.GetImageFromArray(source.view(np.uint8) if source.dtype == np.bool_ else source)
    transform = itk.AffineTransform(3)
    transform.SetMatrix(to_old[2::-1, 2::-1].ravel().tolist())
    transform.SetTranslation(to_old[2::-1, 3].tolist())
    made = itk.Resample(
        image,
        [int(size) for size in shape[::-1]],
        transform,
        kind,
        [0.0, 0.0, 0.0],
        [1.0, 1.0, 1.0],
        [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0],
        0.0 if outside is None else float(outside),
        image.GetPixelID() if interpolation == NEAREST else itk.sitkFloat32,
        outside is None,
    )
    found: Array = itk.GetArrayFromImage(made)
    return found.astype(np.bool_) if array.dtype == np.bool_ and interpolation == NEAREST else found


def planes(array: Array, to_old: Affine, shape: Shape) -> Iterator[Values]:
    """Every slice of the new grid, linearly interpolated; 0 outside the array. Holds one slice where it can."""
    axes = axes_between(to_old, array.shape, shape)
    if axes is None:
        yield from resampled(array, to_old, shape, LINEAR, 0.0)
        return
    turned = array.transpose(axes.order)
    for k in range(shape[0]):
        plane = axes.linear_plane(turned, k)
        axes.blank(plane, k, 0.0)
        yield plane
