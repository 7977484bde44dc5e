"""Measures the lungs: volume, density and the share of low attenuation, over every voxel of the encoded segments."""

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from ai.findings import Mask, Measurement
from ai.models.lung_ct.morphology import Values

RIGHT_LUNG, LEFT_LUNG, LOW_ATTENUATION = "right-lung", "left-lung", "low-attenuation"
LOW_HU = -950
"""Below it lies emphysema in scans of 1 mm at full inspiration (Gevenois 1996); strictly less."""
MODERATE_HU = -910
PERCENTILE = 15


def low_attenuation(hu: Values, lungs: Mask) -> Mask:
    """The voxels of the lungs that are strictly below -950 HU."""
    low: Mask = lungs & (hu < LOW_HU)
    return low


def measure(hu: Values, voxel_ml: float, right: Mask, left: Mask, low: Mask) -> tuple[Measurement, ...]:
    """Every measurement of each lung and of both together.

    hu: as acquired, neither clipped nor smoothed. voxel_ml: volume of one voxel.
    """
    in_right, in_left = hu[right].astype(np.float64), hu[left].astype(np.float64)
    return (
        *_densities(in_right, voxel_ml, (RIGHT_LUNG,)),
        *_densities(in_left, voxel_ml, (LEFT_LUNG,)),
        *_densities(np.concatenate([in_right, in_left]), voxel_ml, (RIGHT_LUNG, LEFT_LUNG)),
        Measurement("volume", float(np.count_nonzero(low)) * voxel_ml, (LOW_ATTENUATION,)),
    )


def _densities(values: npt.NDArray[np.float64], voxel_ml: float, segments: tuple[str, ...]) -> Iterator[Measurement]:
    yield Measurement("volume", values.size * voxel_ml, segments)
    yield Measurement("mean-density", float(values.mean()), segments)
    yield Measurement("density-p15", float(np.percentile(values, PERCENTILE, method="linear")), segments)
    yield Measurement("laa-950", 100.0 * float(np.mean(values < LOW_HU)), segments)
    yield Measurement("laa-910", 100.0 * float(np.mean(values < MODERATE_HU)), segments)


def in_words(measurements: Sequence[Measurement]) -> tuple[str, ...]:
    """The measurements as sentences for a radiologist."""
    value = {(one.key, one.segments): one.value for one in measurements}
    right, left, both = (RIGHT_LUNG,), (LEFT_LUNG,), (RIGHT_LUNG, LEFT_LUNG)
    return (
        f"Lung volume {value['volume', both]:.0f} mL: right {value['volume', right]:.0f} mL, "
        f"left {value['volume', left]:.0f} mL.",
        f"Below -950 HU: {value['laa-950', both]:.1f} % of both lungs "
        f"(right {value['laa-950', right]:.1f} %, left {value['laa-950', left]:.1f} %).",
        f"Below -910 HU: {value['laa-910', both]:.1f} % of both lungs "
        f"(right {value['laa-910', right]:.1f} %, left {value['laa-910', left]:.1f} %).",
        f"Density of both lungs: mean {value['mean-density', both]:.0f} HU, "
        f"15th percentile {value['density-p15', both]:.0f} HU.",
    )
