"""Turns a volume of any orientation to axes that run towards head, back and left, by permutation and reversal."""

from dataclasses import dataclass
from itertools import permutations

import numpy as np
import numpy.typing as npt

from ai.errors import ModelRefused
from ai.findings import Mask
from ai.models.lung_ct.morphology import Spacing, Steps, Values
from ai.volume import Affine, Volume

HEAD, BACK, LEFT = ROWS = (2, 1, 0)
"""Rows of an LPS affine, in the order in which the turned array's axes increase: (head, back, left)."""


@dataclass(frozen=True)
class Turned:
    """A volume whose array axes run closest to (head, back, left); voxels are those of the source, none resampled.

    hu: view of the source's array, (head, back, left). affine_lps: maps its (i, j, k, 1) to LPS mm.
    spacing_mm: along the same axes. order, reversed_axes: how the view was made from the source.
    """

    hu: Values
    affine_lps: Affine
    spacing_mm: Spacing
    order: tuple[int, int, int]
    reversed_axes: tuple[int, ...]

    def restore(self, mask: Mask) -> Mask:
        """The mask, given on the turned axes, on the axes of the source."""
        back = np.flip(mask, self.reversed_axes).transpose(np.argsort(self.order))
        return np.ascontiguousarray(back)

    def left_mm(self, shape: tuple[int, ...], steps: Steps) -> npt.NDArray[np.float64]:
        """The LPS x of every voxel of a grid of that shape of blocks of so many voxels, in mm."""
        first = (np.array(steps) - 1) / 2
        along = [
            self.affine_lps[LEFT, axis] * (np.arange(shape[axis]) * steps[axis] + first[axis]) for axis in range(3)
        ]
        total: npt.NDArray[np.float64] = (
            along[0][:, None, None] + along[1][:, None] + along[2] + self.affine_lps[LEFT, 3]
        )
        return total


def turn(volume: Volume) -> Turned:
    """The volume on axes (head, back, left). Raises ModelRefused where it has no position in the patient."""
    if volume.affine_lps is None:
        raise ModelRefused("the images carry no position and orientation, so right and left cannot be told")
    matrix = volume.affine_lps[:3, :3]
    spacing = np.linalg.norm(matrix, axis=0)
    if not np.all(np.isfinite(volume.affine_lps)) or spacing.min() <= 0 or abs(np.linalg.det(matrix)) < 1e-9:
        raise ModelRefused("the position and orientation of the images do not describe a volume")
    along = np.abs(matrix / spacing)
    head, back, left = max(
        permutations(range(3)),
        key=lambda axes: float(sum(along[row, axis] for row, axis in zip(ROWS, axes, strict=True))),
    )
    order = (head, back, left)
    turned = matrix[:, order]
    reversed_axes = tuple(axis for axis, row in enumerate(ROWS) if turned[row, axis] < 0)
    hu = np.flip(volume.array.transpose(order), reversed_axes)

    affine = np.eye(4)
    affine[:3, 3] = volume.affine_lps[:3, 3]
    for axis in range(3):
        sign = -1.0 if axis in reversed_axes else 1.0
        affine[:3, axis] = sign * turned[:, axis]
        if axis in reversed_axes:
            affine[:3, 3] += turned[:, axis] * (hu.shape[axis] - 1)
    return Turned(
        hu=hu,
        affine_lps=affine,
        spacing_mm=(float(spacing[order[0]]), float(spacing[order[1]]), float(spacing[order[2]])),
        order=order,
        reversed_axes=reversed_axes,
    )
