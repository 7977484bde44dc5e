"""Interpolation between two grids joined by one affine of their indices: along axes by numpy, across them by ITK."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

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
        """In the middle between two, the upper, as ITK and SciPy round."""
        found: Indices = np.where(self.weight > 0.5 - EXACT, self.upper, self.lower)
        return found

    @property
    def between(self) -> bool:
        return bool(self.weight.any())

    @property
    def used(self) -> slice:
        """The old voxels that the new ones are made of, and those between them."""
        return slice(int(self.lower.min()), int(self.upper.max()) + 1)

    def at_nearest(self) -> "Along":
        """The same without interpolation: each new voxel is the nearest old one."""
        return Along(self.nearest, self.nearest, np.zeros_like(self.weight), self.inside)

    def part(self, new: slice) -> "Along":
        """The same for some of the new voxels."""
        return Along(self.lower[new], self.upper[new], self.weight[new], self.inside[new])

    def since(self, first: int) -> "Along":
        """The same in an array that begins at this old voxel."""
        return replace(self, lower=self.lower - first, upper=self.upper - first)


@dataclass(frozen=True)
class Axes:
    """An affine of indices that keeps axes apart. order: the old axis for each new one; along: how to sample it."""

    order: tuple[int, ...]
    along: tuple[Along, ...]

    @property
    def whole(self) -> bool:
        """Every new voxel is an old one: nothing is interpolated."""
        return not any(axis.between for axis in self.along)

    def ordered(self, order: list[int]) -> "Axes":
        """The same with the new axes in another order."""
        return Axes(tuple(self.order[axis] for axis in order), tuple(self.along[axis] for axis in order))

    def nearest_plane(self, turned: Array, k: int) -> Array:
        """Slice k of the new grid by nearest neighbour, from the old array on the new order of axes."""
        slices, rows, columns = self.along
        nearest: Array = turned[slices.nearest[k]][np.ix_(rows.nearest, columns.nearest)]
        return nearest

    def linear_plane(self, turned: Array, k: int) -> Values:
        """Slice k of the new grid by linear interpolation, from the old array on the new order of axes."""
        slices, rows, columns = self.along
        lower, upper, weight = slices.lower[k], slices.upper[k], slices.weight[k]
        plane = turned[lower].astype(np.float32)
        if weight:
            plane += weight * (turned[upper] - plane)
        first = plane[rows.lower]
        if rows.between:
            first += rows.weight[:, None] * (plane[rows.upper] - first)
        left: Values = np.take(first, columns.lower, axis=1)
        if columns.between:
            left += columns.weight * (np.take(first, columns.upper, axis=1) - left)
        return left

    def blank(self, plane: Array, k: int, outside: float) -> None:
        """Set what lies outside the old grid."""
        slices, rows, columns = self.along
        if not slices.inside[k]:
            plane[:] = outside
        plane[~rows.inside] = outside
        plane[:, ~columns.inside] = outside


def axes_between(to_old: Affine, old: tuple[int, ...], new: tuple[int, ...], apart: int | None = None) -> Axes | None:
    """How the new grid samples the old along its axes, or None where the affine mixes axes.

    apart: an old axis along which nothing is interpolated.
    """
    matrix = to_old[:3, :3]
    largest = np.abs(matrix).max()
    kept = np.abs(matrix) > EXACT * largest
    if not (np.all(kept.sum(axis=0) == 1) and np.all(kept.sum(axis=1) == 1)):
        return None
    order = [int(np.flatnonzero(kept[:, axis])[0]) for axis in range(3)]
    found = [_along(matrix[order[a], a], to_old[order[a], 3], old[order[a]], new[a]) for a in range(3)]
    if apart is not None:
        found[order.index(apart)] = found[order.index(apart)].at_nearest()
    return Axes(tuple(order), tuple(found))


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


def resampled(
    array: Array, to_old: Affine, shape: Shape, interpolation: str, outside: float | None, apart: int | None = None
) -> Array:
    """The array on a grid whose indices `to_old` (4 x 4) maps to those of the array.

    interpolation: nearest keeps the type, linear and bspline give float32. outside: the value of voxels more than
    half a voxel outside the array; None repeats its edge. apart: an axis of the array along which nothing is
    interpolated, where the grids share their axes.
    """
    axes = axes_between(to_old, array.shape, shape, apart) if interpolation != BSPLINE else None
    if axes is None:
        return _across(array, to_old, shape, interpolation, outside)
    nearest = interpolation == NEAREST or axes.whole
    sizes = np.array(shape)
    if array.size < sizes.prod():
        turned, memory = np.ascontiguousarray(array.transpose(axes.order)), [0, 1, 2]
    else:  # the larger of the two arrays is walked as it lies in memory
        memory = np.argsort([-abs(array.strides[old]) for old in axes.order], kind="stable").tolist()
        axes = axes.ordered(memory)
        turned = array.transpose(axes.order)
    made = np.empty(sizes[memory], dtype=array.dtype if nearest else np.float32)
    for k, plane in enumerate(made):
        plane[:] = axes.nearest_plane(turned, k) if nearest else axes.linear_plane(turned, k)
        if outside is not None:
            axes.blank(plane, k, outside)
    return made.transpose(np.argsort(memory))


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


def planes(array: Array, to_old: Affine, shape: Shape, apart: int | None = None) -> Iterator[Values]:
    """Every slice of the new grid, linearly interpolated; 0 outside the array. Holds one slice where it can."""
    axes = axes_between(to_old, array.shape, shape, apart)
    if axes is None:
        yield from resampled(array, to_old, shape, LINEAR, 0.0)
        return
    used = [one.used for one in axes.along]
    turned = np.ascontiguousarray(array.transpose(axes.order)[tuple(used)])
    axes = replace(axes, along=tuple(one.since(side.start) for one, side in zip(axes.along, used, strict=True)))
    for k in range(shape[0]):
        plane = axes.linear_plane(turned, k)
        axes.blank(plane, k, 0.0)
        yield plane
