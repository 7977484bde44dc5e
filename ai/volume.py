"""Voxels, where they lie in the patient (LPS, mm), and what is declared about them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

Affine = npt.NDArray[np.float64]
LONGEST_SIDE = 65535
"""Voxels: DICOM counts rows and columns so far."""


@dataclass(frozen=True)
class Facts:
    """What the source's header declares about a volume; None where it says nothing."""

    modality: str | None = None
    body_part: str | None = None
    laterality: str | None = None
    view: str | None = None
    patient_age_y: float | None = None
    patient_sex: str | None = None
    contrast: bool | None = None
    kernel: str | None = None
    slice_thickness_mm: float | None = None
    calibrated_at: str | None = None
    """Where in-plane spacing holds: "patient", "detector", or None when there is no calibration."""
    suv_bw_factor: float | None = None
    """What turns the values (Bq/mL) into standardised uptake by body weight (g/mL)."""


@dataclass(frozen=True)
class Volume:
    """One image volume.

    array: (slices, rows, columns); values in the quantity the modality declares (HU for CT), after rescale.
    affine_lps: 4 x 4, maps (slice, row, column, 1) to the voxel's centre in LPS mm; None where the source has
        no position in a patient (a radiograph).
    spacing_mm: along (slices, rows, columns); None where nothing is calibrated.
    frame_of_reference: names the space that affine_lps leads into; places in two spaces say nothing of each other.
        None where the source knows of none, as files for training do.
    """

    array: npt.NDArray[Any]
    affine_lps: Affine | None
    spacing_mm: tuple[float, float, float] | None
    facts: Facts = field(default_factory=Facts)
    frame_of_reference: str | None = None

    def __post_init__(self) -> None:
        if self.array.ndim != 3:
            raise ValueError(f"a volume has three axes (slices, rows, columns), not {self.array.ndim}")
        if self.affine_lps is not None and self.affine_lps.shape != (4, 4):
            raise ValueError(f"affine_lps must be 4 x 4, not {self.affine_lps.shape}")

    @property
    def voxel_ml(self) -> float:
        """Volume of one voxel in mL, from the affine. Raises ValueError where the volume has no affine."""
        if self.affine_lps is None:
            raise ValueError("a volume without an affine has no voxel volume")
        return float(abs(np.linalg.det(self.affine_lps[:3, :3]))) / 1000.0


@dataclass(frozen=True)
class Inputs:
    """Named volumes for one prediction; results go on the grid of the one called `reference`."""

    volumes: Mapping[str, Volume]
    reference: str

    def __post_init__(self) -> None:
        if self.reference not in self.volumes:
            raise ValueError(f"the reference input {self.reference!r} is not among {sorted(self.volumes)}")

    @property
    def reference_volume(self) -> Volume:
        return self.volumes[self.reference]
