"""Refuses lungs that are not two whole ones: cut by the images' edge, open to the outside, or far too unequal."""

import numpy as np

from ai.errors import ModelRefused
from ai.findings import Mask
from ai.models.lung_ct.morphology import Labels, Spacing
from ai.models.lung_ct.parting import LEFT, NAMES, RIGHT

SMALLEST_SHARE = 1 / 3
"""Least volume of one lung compared with the other; left to right is about 0.85 in health."""
CUT_MM2 = 3000.0
"""A lung cut wider than this by the first or last slice is no whole lung."""
OPEN_MM2 = 500.0
"""Most contact between lung and the air outside the body, which the chest wall keeps apart in a whole chest."""


def check_pair(sides: Labels) -> None:
    """Refuse where one lung is far smaller than the other."""
    right, left = (int(np.count_nonzero(sides == side)) for side in (RIGHT, LEFT))
    if min(right, left) < SMALLEST_SHARE * max(right, left):
        raise ModelRefused(
            f"the {NAMES[RIGHT if right < left else LEFT]} lung holds less than a third of the air of the other: "
            "after effusion, collapse or resection the measurements are not valid"
        )


def check_closed(sides: Labels, outside_air: Mask, spacing_mm: Spacing) -> None:
    """Refuse where lung borders on air outside the body: slices there show the lung open to the image's edge."""
    lungs = sides != 0
    contact_mm2 = 0.0
    for axis in range(3):
        ahead = np.moveaxis(lungs, axis, 0), np.moveaxis(outside_air, axis, 0)
        faces = np.count_nonzero(ahead[0][1:] & ahead[1][:-1]) + np.count_nonzero(ahead[0][:-1] & ahead[1][1:])
        contact_mm2 += faces * float(np.prod(spacing_mm)) / spacing_mm[axis]
    if contact_mm2 > OPEN_MM2:
        raise ModelRefused(
            f"the lungs are open to the air outside the body over {contact_mm2 / 100:.0f} cm²: "
            "the field of view cuts them, or the chest wall is open"
        )


def cut_mm2(sides: Labels, spacing_mm: Spacing) -> float:
    """How much of the lungs the first and the last slice cut. Raises ModelRefused where it is no whole lung."""
    total = 0.0
    for side in (RIGHT, LEFT):
        for section in (sides[0], sides[-1]):
            cut = float(np.count_nonzero(section == side)) * spacing_mm[1] * spacing_mm[2]
            if cut > CUT_MM2:
                raise ModelRefused(
                    f"the first or last slice cuts the {NAMES[side]} lung ({cut / 100:.0f} cm²): it is not whole"
                )
            total += cut
    return total
