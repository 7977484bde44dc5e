"""The phantom's bones: rib cage, shoulder girdle, spine."""

import numpy as np

from node.rehearsal.chest.lungs import cavity, spine_centre_y_mm
from node.rehearsal.chest.solids import (
    Field,
    Points,
    Tube,
    both,
    either,
    ellipsoid,
    oval,
    polyline,
    ramp,
    tubes,
    turned,
)
from node.rehearsal.chest.tissue import CARTILAGE, CORTEX, DISC, FLUID, MARROW, NERVE, VERTEBRA, Tissues

RIB_PITCH_MM, VERTEBRA_PITCH_MM = 25.0, 25.5
CLAVICLE = polyline(((17.0, -62.0, 84.0), (58.0, -54.0, 103.0), (118.0, -14.0, 116.0)), (7.5, 5.5, 6.5))


def rib_cage(at: Points) -> Tissues:
    """Ribs slanting down to the front, cartilage before the sternum, sternum."""
    wall = cavity(at)
    turn = (at.z - 0.44 * at.y) * (1 / RIB_PITCH_MM)
    along = (turn - np.round(turn)) * (0.91 * RIB_PITCH_MM)
    margin = -60 - 1.05 * (at.y + 70) - at.z
    ends = np.maximum(np.maximum(15 - np.abs(at.x), at.z - 122), margin * 0.6)
    ribs = (np.sqrt(((wall - 6.0) * (1 / 3.4)) ** 2 + (along * (1 / 5.6)) ** 2) - 1) * 3.6
    ribs = np.maximum(ribs, ends)
    bony = ramp(at.y, -72, -64)
    yield ribs, CARTILAGE + (CORTEX - CARTILAGE) * bony
    yield ribs + 1.5, CARTILAGE + (MARROW - CARTILAGE) * bony
    width = 14 + 11 * ramp(at.z, 44, 80) + 2 * np.cos(at.z * 0.25)
    sternum = both(np.abs(wall - 7.5) - 4.8, np.abs(at.x) - width, 4)
    sternum = both(both(sternum, np.abs(at.z - 16) - 66, 8), at.y + 20)
    yield sternum, CORTEX - 200
    yield sternum + 1.5, MARROW - 50


def shoulders(at: Points) -> Tissues:
    """Clavicles and shoulder blades."""
    mirrored = Points(np.abs(at.x), at.y, at.z)
    blade_centre = (112.0, 78.0, 62.0)
    blade = ellipsoid(turned(mirrored, blade_centre, about_z_deg=-50), blade_centre, (44.0, 4.5, 58.0))
    spine_of_blade = Tube((80.0, 104.0, 80.0), (134.0, 74.0, 104.0), 4.0, 6.0).field(mirrored)
    bones = either(either(blade, spine_of_blade, 4), tubes(mirrored, CLAVICLE))
    yield bones, CORTEX
    yield bones + 1.8, MARROW


def spine(at: Points) -> Tissues:
    """Vertebral bodies with discs between, arch, processes, canal and cord."""
    turn = (at.z + 4) * (1 / VERTEBRA_PITCH_MM)
    level: Field = (turn - np.round(turn)) * VERTEBRA_PITCH_MM
    back = at.y - spine_centre_y_mm(at.z)
    local = Points(np.abs(at.x), back, level)
    waist = oval(at.x, back, (18, 15)) + 1.6 - level * level * 0.018
    yield both(waist + 1, np.abs(level) - 14), DISC
    arch = oval(at.x, back - 23, (15, 13))
    arch = both(arch, np.abs(level + 1) - 8.5, 3)
    transverse = Tube((13.0, 22.0, 2.0), (34.0, 32.0, 3.0), 5.0, 4.2).field(local)
    spinous = Tube((0.0, 33.0, 0.0), (0.0, 49.0, -8.0), 3.8, 3.2).field(local)
    bone = either(both(waist, np.abs(level) - 10.4, 2), either(arch, either(transverse, spinous, 3), 4), 3)
    yield bone, CORTEX - 130
    yield bone + 1.6, VERTEBRA
    canal = oval(at.x, back - 22.5, (10.5, 8.5))
    yield canal, FLUID
    yield canal + 3.6, NERVE
