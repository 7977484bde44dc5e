"""Decides which air inside the body is right lung and left lung, on blocks of about two millimetres."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ai.errors import ModelRefused
from ai.findings import Mask
from ai.models.lung_ct.airways import find_airways
from ai.models.lung_ct.body import body_inside
from ai.models.lung_ct.morphology import Blocks, Labels, Spacing, at_least_a_voxel, components, grown, holding, shrunk
from ai.models.lung_ct.parting import LEFT, NAMES, RIGHT, bowel_gas, part_sides, read_air
from ai.models.lung_ct.wholeness import check_closed, check_pair, cut_mm2

LUNG_HU = -400.0
"""Midway between aerated lung (about -850) and soft tissue (about 50): where a shared voxel is half lung."""
WALL_MM = 2.5
WIDE_AIRWAY_MM = 3.5
"""Airways at least twice this wide are kept out of the lungs; narrower ones inside the lungs belong to them."""
SMALLEST_LUNG_ML = 250.0
SMALLEST_PIECE_ML = 5.0
LOWEST_PIECE = 0.4
"""A separate piece counts as lung only where its centre lies above this part of the lung's height."""
LARGEST_AIR_HU = -850.0
"""Air in a trachea reads about -1000; above this the values are not calibrated, or what was found is no trachea."""


@dataclass(frozen=True)
class CoarseLungs:
    """Where the lungs are, on blocks of about two millimetres.

    sides: RIGHT, LEFT or 0. open_to: blocks that are not air on the whole and may hold some of a lung's edge.
    taken: blocks that belong to something else: airways, bowel, other air, outside. cut_mm2: how much of the
    lungs the first and last slices cut.
    """

    sides: Labels
    open_to: Mask
    taken: Mask
    cut_mm2: float


def find_lungs(hu: Blocks, left_mm: npt.NDArray[np.float64], spacing_mm: Spacing) -> CoarseLungs:
    """Right and left lung, on axes (head, back, left); `left_mm` is each block's LPS x.

    Raises ModelRefused where either lung cannot be found whole.
    """
    inside = body_inside(hu, spacing_mm)
    airways = find_airways(hu, inside, spacing_mm)
    air_hu = read_air(hu, airways.trachea, spacing_mm)
    if air_hu > LARGEST_AIR_HU:
        raise ModelRefused(f"air in the trachea reads {air_hu:.0f} HU: the values are not calibrated")
    wall_mm = at_least_a_voxel(WALL_MM, spacing_mm)
    air = (hu < LUNG_HU) & inside
    with_walls = grown(airways.lumen, wall_mm, spacing_mm)
    lungs_air = air & ~with_walls
    lungs_air &= ~bowel_gas(hu, lungs_air, air_hu, spacing_mm)
    midline_mm = float(np.median(left_mm[airways.trachea]))
    parted = part_sides(hu, lungs_air, left_mm, midline_mm, spacing_mm)

    sides = np.zeros_like(parted)
    for side in (RIGHT, LEFT):
        sides[_one_lung(parted == side, airways.carina, NAMES[side], spacing_mm)] = side
    check_pair(sides)
    check_closed(sides, (hu < LUNG_HU) & ~inside, spacing_mm)
    wide = holding(airways.trachea | _opened(airways.lumen, WIDE_AIRWAY_MM, spacing_mm), airways.trachea)
    other_air = air & (sides == 0) & ~with_walls
    return CoarseLungs(
        sides=sides,
        open_to=inside & ~air,
        taken=~inside | other_air | grown(wide, wall_mm, spacing_mm),
        cut_mm2=cut_mm2(sides, spacing_mm),
    )


def _opened(mask: Mask, radius_mm: float, spacing_mm: Spacing) -> Mask:
    return grown(shrunk(mask, radius_mm, spacing_mm), radius_mm, spacing_mm) & mask


def _one_lung(air: Mask, carina: int, name: str, spacing_mm: Spacing) -> Mask:
    """The largest piece of one side's air with the pieces that belong to it."""
    voxel_ml = float(np.prod(spacing_mm)) / 1000.0
    labels, counts = components(air)
    largest_ml = float(counts[1]) * voxel_ml if len(counts) > 1 else 0.0
    heights = np.flatnonzero((labels == 1).any(axis=(1, 2)))
    if largest_ml < SMALLEST_LUNG_ML or heights[-1] <= carina:
        raise ModelRefused(
            f"no plausible {name} lung was found (the largest piece of air on that side holds {largest_ml:.0f} mL): "
            "removed, collapsed, or cut by the field of view"
        )
    lowest = heights[0] + LOWEST_PIECE * (heights[-1] - heights[0])
    kept = [1]
    for label in range(2, len(counts)):
        if counts[label] * voxel_ml < SMALLEST_PIECE_ML:
            break
        if np.flatnonzero((labels == label).any(axis=(1, 2))).mean() > lowest:
            kept.append(label)
    lung: Mask = np.isin(labels, kept)
    return lung
