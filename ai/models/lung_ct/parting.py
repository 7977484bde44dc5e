"""Parts air into right, left and bowel gas by floods that meet on the brightest sheet between them."""

import numpy as np
import numpy.typing as npt

from ai.findings import Mask
from ai.models.lung_ct.morphology import (
    Blocks,
    Labels,
    Spacing,
    box_around,
    components,
    distance_mm,
    flood,
    shrunk,
)

RIGHT, LEFT = 1, 2
NAMES = {RIGHT: "right", LEFT: "left"}
SURE_SIDE_MM = 40.0
"""Air farther from the midline than this belongs to its side; between, floods from both sides decide."""
GAS_MARGIN_HU = 25.0
"""Bowel gas reads as the trachea's air; even bad emphysema, averaged over a block, lies farther above it."""
GAS_RADIUS_MM = 5.0
SMALLEST_GAS_ML = 1.0
"""Bowel gas worth finding is pure over a ball of this radius, and its core holds so much."""
NOTHING_BELOW = 0.1
"""Most air below bowel gas, as a share of the air above it; a bulla inside a lung has lung below it."""
LUNG_AWAY_MM = 15.0
"""Air that is not pure, farther than this from bowel gas, is lung for certain."""


def part_sides(
    hu: Blocks, air: Mask, left_mm: npt.NDArray[np.float64], midline_mm: float, spacing_mm: Spacing
) -> Labels:
    """RIGHT and LEFT for every voxel of the air, by geometry: `left_mm` is each voxel's LPS x.

    Where the lungs touch, the cut follows the junction line: the floods from either side meet on the densest sheet.
    """
    from_midline = left_mm - midline_mm
    sides = np.zeros(air.shape, dtype=np.uint8)
    sides[air & (from_midline < -SURE_SIDE_MM)] = RIGHT
    sides[air & (from_midline > SURE_SIDE_MM)] = LEFT
    unsure = air & (sides == 0)
    if unsure.any():
        box = box_around(unsure, 2 * max(spacing_mm), spacing_mm)
        flooded = flood(hu[box], sides[box])
        sides[box] = np.where(unsure[box], flooded, sides[box])
    return sides


def bowel_gas(hu: Blocks, air: Mask, air_hu: float, spacing_mm: Spacing) -> Mask:
    """The part of the air that is stomach or bowel: pure gas with no lung below it, up to its wall."""
    pure = hu < air_hu + GAS_MARGIN_HU
    cores, counts = components(shrunk(air & pure, GAS_RADIUS_MM, spacing_mm))
    voxel_ml = float(np.prod(spacing_mm)) / 1000.0
    gas = np.zeros_like(air)
    for label in range(1, len(counts)):
        if counts[label] * voxel_ml < SMALLEST_GAS_ML:
            break
        core = cores == label
        if _lies_below(core, air):
            gas |= core
    if not gas.any():
        return gas
    markers = np.zeros(air.shape, dtype=np.uint8)
    markers[air & ~pure & (distance_mm(gas, spacing_mm) > LUNG_AWAY_MM)] = 1
    markers[gas] = 2
    box = box_around(gas, 3 * LUNG_AWAY_MM, spacing_mm)
    gas[box] = air[box] & (flood(hu[box], markers[box]) == 2)
    return gas


def read_air(hu: Blocks, trachea: Mask, spacing_mm: Spacing) -> float:
    """What air reads in this image: the median in the trachea, away from its wall where it is wide enough."""
    inner = shrunk(trachea, 3.0, spacing_mm)
    return float(np.median(hu[inner if inner.any() else trachea]))


def _lies_below(core: Mask, air: Mask) -> bool:
    """Whether the columns through the core hold next to no air below it, compared with above."""
    columns = core.any(axis=0)
    heights = np.arange(core.shape[0])[:, None]
    lowest = np.argmax(core, axis=0)[columns]
    highest = core.shape[0] - 1 - np.argmax(core[::-1], axis=0)[columns]
    in_columns = air[:, columns]
    below = float(np.count_nonzero(in_columns & (heights < lowest)))
    above = float(np.count_nonzero(in_columns & (heights > highest)))
    return below <= NOTHING_BELOW * above
