"""A volume on its way through the steps: its values, where they lie, and the way back to the source's own voxels."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import wraps

import numpy as np

from ai.errors import ModelRefused
from ai.preparation.images import Array, Spacing, Values
from ai.step import Value
from ai.volume import Affine, Volume


@dataclass(frozen=True)
class Placed:
    """A volume as the steps so far have made it.

    volume: the present values and where they lie. to_source: 4 x 4, maps its (slice, row, column, 1) to the source's
    indices, through every step of geometry. source: the volume as it came. apart: an axis along which nothing is
    interpolated on the way back, as the voxels lie too far apart there; None where there is none.
    """

    volume: Volume
    to_source: Affine
    source: Volume
    apart: int | None = None

    @classmethod
    def at_source(cls, volume: Volume) -> "Placed":
        """A volume to which nothing was done yet."""
        return cls(volume, np.eye(4), volume)

    @property
    def array(self) -> Array:
        return self.volume.array

    @property
    def values(self) -> Values:
        """The array as float32."""
        return self.volume.array.astype(np.float32, copy=False)

    @property
    def shape(self) -> tuple[int, int, int]:
        slices, rows, columns = self.volume.array.shape
        return slices, rows, columns

    @property
    def spacing_mm(self) -> Spacing:
        """Raises ModelRefused where the images are not calibrated: lengths in mm have no meaning there."""
        if self.volume.spacing_mm is None:
            raise ModelRefused("the images carry no calibration, so that nothing can be measured in mm in them")
        return self.volume.spacing_mm

    @property
    def affine_lps(self) -> Affine:
        """Raises ModelRefused where the images have no place in the patient."""
        if self.volume.affine_lps is None:
            raise ModelRefused("the images carry no position and orientation in the patient, which this model needs")
        return self.volume.affine_lps

    def with_array(self, array: Array) -> "Placed":
        """Other values on the same grid."""
        if array.shape != self.volume.array.shape:
            raise ValueError(f"a step that keeps the grid made {array.shape} of {self.volume.array.shape}")
        return replace(self, volume=replace(self.volume, array=array))

    def moved(self, array: Array, to_old: Affine) -> "Placed":
        """An array on another grid, whose indices `to_old` maps to those of the present one."""
        affine, spacing = self.volume.affine_lps, self.volume.spacing_mm
        if affine is not None:
            affine = affine @ to_old
            spacing = _lengths(affine[:3, :3])
        elif spacing is not None:
            spacing = _lengths(np.diag(spacing) @ to_old[:3, :3])
        volume = replace(self.volume, array=array, affine_lps=affine, spacing_mm=spacing)
        return replace(self, volume=volume, to_source=self.to_source @ to_old)


def _lengths(matrix: Array) -> Spacing:
    slices, rows, columns = (float(one) for one in np.linalg.norm(matrix, axis=0))
    return slices, rows, columns


def of_values(call: Callable[..., Array]) -> Callable[..., Placed]:
    """A step from a function of the values, followed by its parameters by name."""

    @wraps(call)
    def step(placed: Placed, **parameters: Value) -> Placed:
        return placed.with_array(call(placed.values, **parameters))

    return step


def of_spaced_values(call: Callable[..., Array]) -> Callable[..., Placed]:
    """A step from a function of the values and their spacing in mm, followed by its parameters by name."""

    @wraps(call)
    def step(placed: Placed, **parameters: Value) -> Placed:
        return placed.with_array(call(placed.values, placed.spacing_mm, **parameters))

    return step
