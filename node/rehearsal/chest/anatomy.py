"""The phantom's body and table, and the order in which everything around the lungs is painted."""

import numpy as np

from node.rehearsal.chest import organs, skeleton
from node.rehearsal.chest.lungs import cavity
from node.rehearsal.chest.solids import Field, Points, both, either, ramp
from node.rehearsal.chest.tissue import CARBON, FAT, FOAM, MUSCLE, SKIN, Group, Tissues


def body(at: Points) -> Field:
    """The skin's surface: hollowed a little over sternum and spine; arms raised, shoulders narrowing to the neck."""
    width = np.minimum((at.x / (166 - 54 * ramp(at.z, 70, 175))) ** 2, 2.2)
    depth = np.minimum(((at.y - 9) / (123 - 46 * ramp(at.z, 60, 175))) ** 2, 2.2)
    outline = (np.sqrt(np.maximum(width + depth - 0.44 * width * depth, 0)) - 1) * 120
    field: Field = outline + 5 / (1 + at.x * at.x * (1 / 500))
    return field


def table(at: Points) -> Tissues:
    """A carbon shell around foam, hollowed to cradle the patient."""
    depth = at.y + at.x * at.x * (1 / 1000)
    outside = np.abs(at.x) - 205
    yield np.maximum(np.abs(depth - 142) - 10, outside), CARBON
    yield np.maximum(np.abs(depth - 142) - 8, outside + 2), FOAM


def flesh(at: Points) -> Tissues:
    """Skin, subcutaneous fat, muscles, and the fat between their layers."""
    skin, inner = body(at), cavity(at)
    yield skin, SKIN
    yield skin + 1.8, FAT
    under = (
        6 + 9 * ramp(np.abs(at.x), 30, 120) + 5 * ramp(-at.z, 20, 150) + 2 * np.sin(at.x * 0.05) * np.sin(at.y * 0.04)
    )
    muscle = both(either(skin + under, inner - 12, 6), skin + 5, 4)
    yield muscle, MUSCLE
    sides = np.maximum(38 - np.abs(at.x), muscle + 3)
    for depth, top in ((14.5, 66.0), (23.0, 42.0)):
        layer = np.abs(inner - depth - 3 * np.sin(at.z * 0.035 + at.x * 0.02)) - 1.3
        yield np.maximum(np.maximum(layer, sides), at.z + 0.3 * at.y - top), FAT


AROUND_LUNGS: tuple[Group, ...] = (
    Group((-210.0, 75.0, -1e4), (210.0, 155.0, 1e4), table),
    Group((-170.0, -118.0, -1e4), (170.0, 135.0, 1e4), flesh),
    Group((-155.0, -116.0, -260.0), (155.0, 116.0, 132.0), skeleton.rib_cage),
    Group((-170.0, -80.0, -10.0), (170.0, 125.0, 135.0), skeleton.shoulders),
    Group((-95.0, -100.0, -180.0), (95.0, 100.0, 1e4), organs.between_the_lungs),
    Group((-140.0, -100.0, -1e4), (140.0, 104.0, -80.0), organs.below_the_lungs),
    Group((-60.0, -45.0, 40.0), (60.0, 30.0, 1e4), organs.neck),
    Group((-45.0, 20.0, -1e4), (45.0, 135.0, 1e4), skeleton.spine),
)
"""Painted before the lungs, in this order."""
WITHIN_LUNGS = (Group((-75.0, -20.0, -40.0), (80.0, 50.0, 200.0), organs.airways),)
"""Painted after them."""
