"""Decides between scores on another grid brick by brick: where one is highest all around, nothing is interpolated."""

from collections.abc import Iterable, Iterator
from itertools import product

import numpy as np
import numpy.typing as npt

from ai.preparation.images import Array, Values
from ai.preparation.sampling import Along, Axes

Labels = npt.NDArray[np.uint8]
SIDE = 16
"""Of a brick, in voxels of the scores' own grid."""
ROUNDING = 2.0**-16
"""What sums in float32 may differ by at most, as a share of the highest of all numbers; they do by far less."""


def highest(scores: Array, axes: Axes) -> Labels:
    """The number of the highest score, linearly interpolated along each axis; the first of several, 0 outside.

    scores: (classes, slices, rows, columns) on the old grid of the axes.
    """
    turned = scores.transpose(0, *(1 + old for old in axes.order))
    slack = ROUNDING * max(abs(float(scores.max())), abs(float(scores.min())))
    made = np.zeros(tuple(len(one.lower) for one in axes.along), dtype=np.uint8)
    for brick in product(*(_parts(one) for one in axes.along)):
        parts = [one.part(side) for one, side in zip(axes.along, brick, strict=True)]
        around = tuple(one.used for one in parts)
        corners = turned[(slice(None), *around)].astype(np.float32)
        classes = possible(corners, slack)
        if len(classes) == 1:
            made[brick] = classes[0]
        else:
            near = [one.since(used.start) for one, used in zip(parts, around, strict=True)]
            made[brick] = classes[first_highest(between(corners[classes], near))]
    for axis, one in enumerate(axes.along):
        made[(slice(None),) * axis + (~one.inside,)] = 0
    return made


def possible(corners: Values, slack: float) -> npt.NDArray[np.intp]:
    """Classes that may be highest somewhere between these voxels.

    Interpolation keeps order: a class that is below the mean of some others at every voxel is below it between them,
    too, and so below the highest of these others. They are those that are highest at one of the voxels.
    """
    flat = corners.reshape(len(corners), -1)
    leading = (flat == flat.max(axis=0)).any(axis=1)
    mean = flat[leading].mean(axis=0)
    found: npt.NDArray[np.intp] = np.flatnonzero(leading | ((flat - mean).max(axis=1) >= -slack))
    return found


def between(corners: Values, along: list[Along]) -> Values:
    """(classes, slices, rows, columns), linearly interpolated along each axis in turn."""
    found = corners
    for axis, one in enumerate(along, 1):
        lower = np.take(found, one.lower, axis=axis)
        if one.between:
            weight = one.weight.reshape([-1 if other == axis else 1 for other in range(4)])
            lower += weight * (np.take(found, one.upper, axis=axis) - lower)
        found = lower
    return found


def _parts(along: Along) -> Iterator[slice]:
    """The new voxels of an axis in runs of about SIDE old ones."""
    used, count = along.used, len(along.lower)
    size = max(1, round(SIDE * count / (used.stop - used.start)))
    return (slice(first, min(first + size, count)) for first in range(0, count, size))


def first_highest(values: Iterable[Values]) -> Labels:
    """At each place the number of the highest of several arrays, the first of equals."""
    each = iter(values)
    best = next(each).copy()
    found = np.zeros(best.shape, dtype=np.uint8)
    for number, one in enumerate(each, 1):
        higher = one > best
        found[higher] = number
        np.copyto(best, one, where=higher)
    return found
