"""The tissues' CT numbers, and how a description of tissues is handed to the scanner."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from node.rehearsal.chest.solids import Field, Point, Points

AIR, FOAM, CARBON = -1000.0, -940.0, -180.0
FAT, SKIN, MUSCLE, BLOOD, HEART, LIVER, SPLEEN, FLUID, WALL = -102.0, 15.0, 52.0, 41.0, 45.0, 60.0, 49.0, 14.0, 38.0
CORTEX, MARROW, VERTEBRA, CARTILAGE, DISC, NERVE = 620.0, 190.0, 165.0, 125.0, 82.0, 38.0
"""Usual HU of an unenhanced scan."""

Tissues = Iterator[tuple[Field, float | Field]]
"""Pairs (field, HU): where a field is negative, its HU replaces what was there before."""


@dataclass(frozen=True)
class Group:
    """Tissues that share a description; none of them reaches beyond the box from `low` to `high` (LPS mm)."""

    low: Point
    high: Point
    tissues: Callable[[Points], Tissues]
