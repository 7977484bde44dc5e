"""Draws each lung on the images' own voxels: its air, with the vessels and nodules it encloses."""

import numpy as np

from ai.findings import Mask
from ai.models.lung_ct.lungs import LUNG_HU, CoarseLungs
from ai.models.lung_ct.morphology import (
    Box,
    Labels,
    Spacing,
    Steps,
    Values,
    box_around,
    filled,
    flood,
    grown,
    shrunk,
    spread,
    times,
)
from ai.models.lung_ct.parting import LEFT, RIGHT

VESSEL_MM = 5.0
"""Dense structures up to twice this wide between parts of a lung belong to it."""
SEAM_BLOCKS = 2.5
"""Where the lungs touch, blocks this near to both are parted again voxel by voxel."""


def outlines(hu: Values, lungs: CoarseLungs, steps: Steps, spacing_mm: Spacing) -> tuple[Mask, Mask]:
    """Right and left lung as masks on the voxels of `hu`, (head, back, left)."""
    # 1.8 blocks reach the neighbours that share a corner, and none beyond.
    near = {
        side: (lungs.sides == side) | (grown(lungs.sides == side, 1.8, (1.0, 1.0, 1.0)) & lungs.open_to)
        for side in (RIGHT, LEFT)
    }
    right, left = (
        _outline(hu, near[side], lungs.taken | (lungs.sides == other), steps, spacing_mm)
        for side, other in ((RIGHT, LEFT), (LEFT, RIGHT))
    )
    _part_seam(hu, right, left, lungs.sides, steps, spacing_mm)
    shared = right & left
    return right & ~shared, left & ~shared


def _outline(hu: Values, near: Mask, taken: Mask, steps: Steps, spacing_mm: Spacing) -> Mask:
    """The air in the blocks `near`, closed over vessels and filled, without what is `taken` by something else."""
    box = _fine_box(box_around(near, 2 * VESSEL_MM, times(spacing_mm, steps)), steps, hu.shape)
    free = ~spread(taken, steps, box)
    lung = (hu[box] < LUNG_HU) & spread(near, steps, box)
    lung |= shrunk(grown(lung, VESSEL_MM, spacing_mm), VESSEL_MM, spacing_mm) & free
    lung = filled(lung) & free
    whole = np.zeros(hu.shape, dtype=np.bool_)
    whole[box] = lung
    return whole


def _part_seam(hu: Values, right: Mask, left: Mask, sides: Labels, steps: Steps, spacing_mm: Spacing) -> None:
    """Where the lungs touch, move the cut between them from the blocks' faces to the junction line itself."""
    block_mm = times(spacing_mm, steps)
    reach = SEAM_BLOCKS * min(block_mm)
    seam = grown(sides == RIGHT, reach, block_mm) & grown(sides == LEFT, reach, block_mm)
    if not seam.any():
        return
    box = _fine_box(box_around(seam, 3 * reach, block_mm), steps, hu.shape)
    unsure = spread(seam, steps, box) & (right[box] | left[box])
    markers = np.zeros(unsure.shape, dtype=np.uint8)
    markers[right[box] & ~unsure] = RIGHT
    markers[left[box] & ~unsure] = LEFT
    flooded = flood(hu[box], markers)
    right[box] = np.where(unsure, flooded == RIGHT, right[box])
    left[box] = np.where(unsure, flooded == LEFT, left[box])


def _fine_box(blocks: Box, steps: Steps, shape: tuple[int, ...]) -> Box:
    sides = [
        slice(side.start * step, min(side.stop * step, size))
        for side, step, size in zip(blocks, steps, shape, strict=True)
    ]
    return sides[0], sides[1], sides[2]
