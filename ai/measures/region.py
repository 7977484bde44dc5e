"""One segment as it is measured: its voxels, where they lie and what values they hold."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ai.errors import ModelRefused
from ai.findings import Mask
from ai.volume import Volume

Points = npt.NDArray[np.float64]
Values = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Region:
    """A segment cut to its own box, with a border of one empty voxel on every side.

    mask, values: (slices, rows, columns). spacing_mm: along these. affine_lps: 4 x 4, from an index in the box to the
    patient, in mm; None where the image has no position in a patient.
    """

    mask: Mask
    values: Values
    spacing_mm: tuple[float, float, float]
    affine_lps: npt.NDArray[np.float64] | None

    @property
    def inside(self) -> Values:
        """Values of the segment's voxels, in the order of their indices."""
        inside: Values = self.values[self.mask]
        return inside

    @property
    def centres_mm(self) -> Points:
        """Centres of the segment's voxels, (n, 3), along slices, rows and columns."""
        centres: Points = np.argwhere(self.mask) * np.asarray(self.spacing_mm)
        return centres

    @property
    def voxel_mm3(self) -> float:
        """Volume of one voxel."""
        return float(np.prod(self.spacing_mm))


def region(mask: Mask, volume: Volume) -> Region | None:
    """The segment as a region of the volume; None where it is empty.

    Raises ModelRefused where the volume has no calibrated spacing: nothing can be measured there in mm.
    """
    if volume.spacing_mm is None:
        raise ModelRefused("the images have no calibrated spacing: segments on them cannot be measured in mm")
    if not mask.any():
        return None
    first, last = _box(mask)
    inner = tuple(slice(low, high) for low, high in zip(first, last, strict=True))
    affine = None
    if volume.affine_lps is not None:
        affine = volume.affine_lps.copy()
        affine[:3, 3] += affine[:3, :3] @ (first - 1)
    return Region(
        mask=np.pad(mask[inner], 1),
        values=np.pad(volume.array[inner].astype(np.float64), 1),
        spacing_mm=volume.spacing_mm,
        affine_lps=affine,
    )


def _box(mask: Mask) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """First index of the mask along each axis, and the one after its last."""
    found = [np.flatnonzero(mask.any(axis=tuple(other for other in range(3) if other != axis))) for axis in range(3)]
    return np.array([one[0] for one in found]), np.array([one[-1] + 1 for one in found])
