"""Where the phantom's lungs are: the thoracic cavity without the mediastinum, above the diaphragm.

The one description from which both the image and its truth are sampled. Proportions are those of an adult at full
inspiration, in round figures; no patient's images were used.
"""

import numpy as np

from node.rehearsal.chest.solids import (
    Field,
    Point,
    Points,
    Tube,
    both,
    either,
    ellipsoid,
    polyline,
    ramp,
    tubes,
    turned,
)

VENTRICLES: tuple[Point, Point] = ((24.0, -34.0, -54.0), (55.0, 44.0, 46.0))
RIGHT_ATRIUM: tuple[Point, Point] = ((-16.0, -22.0, -42.0), (29.0, 33.0, 38.0))
LEFT_ATRIUM: tuple[Point, Point] = ((8.0, 12.0, -24.0), (34.0, 22.0, 24.0))
TRACHEA = polyline(((2.0, 2.0, 170.0), (0.0, 12.0, 90.0), (-2.0, 20.0, 34.0)), (8.5, 8.5, 8.8))
BRONCHI = (
    *polyline(((-2.0, 20.0, 34.0), (-26.0, 20.0, 16.0), (-42.0, 17.0, -8.0)), (7.6, 6.8, 5.4)),
    *polyline(((-2.0, 20.0, 34.0), (40.0, 23.0, 8.0), (51.0, 29.0, -14.0)), (7.2, 6.2, 5.0)),
    Tube((-22.0, 20.0, 19.0), (-50.0, 14.0, 32.0), 5.2, 4.2),
    Tube((38.0, 23.0, 9.0), (58.0, 10.0, 20.0), 5.0, 4.0),
)
"""Main bronchi, and the lobar ones as far as they run outside the lungs."""
AIRWAY_WALL_MM = 1.4
AORTA = polyline(
    ((6.0, -16.0, -22.0), (-16.0, -24.0, 14.0), (-14.0, -18.0, 42.0), (4.0, 2.0, 57.0), (20.0, 26.0, 52.0),
     (25.0, 42.0, 30.0), (25.0, 47.0, -30.0), (18.0, 42.0, -110.0), (10.0, 36.0, -200.0)),
    (15.0, 16.0, 15.0, 14.0, 13.5, 13.0, 12.0, 11.0, 10.0),
)  # fmt: skip
HILA: dict[int, Point] = {-1: (-46.0, 9.0, 4.0), 1: (50.0, 14.0, 8.0)}
"""Where vessels and bronchi enter: the right side is -1, the left +1, as x in LPS."""
OESOPHAGUS = polyline(((6.0, 36.0, 170.0), (5.0, 40.0, 30.0), (10.0, 38.0, -60.0), (26.0, 14.0, -124.0)), (6.5,) * 4)
JUNCTION_MM = 0.4
"""Thickness of the anterior junction line: thinner than a voxel, so that a bare threshold joins both lungs."""


def cavity(at: Points) -> Field:
    """The inner face of the thoracic cage, its back wall bulging in towards the spine; open below."""
    height = np.clip((at.z + 70) * (1 / 205), 0, 1.3)
    narrowing = 1 - height * height
    narrowing = np.sqrt(np.maximum(narrowing, 0)) - np.maximum(-narrowing, 0)
    across = at.x * at.x
    bulge = 13 * ramp(at.y, 10, 80) / (1 + across * (1 / 1300))
    width = np.minimum(across * (1 / 139**2), 2.5)
    depth = np.minimum(((at.y + bulge - 4 - 14 * height * height) * (1 / 99)) ** 2, 2.5)
    field: Field = (np.sqrt(width + depth - 0.3 * width * depth) - narrowing) * 105
    return field


def spine_centre_y_mm(z: Field) -> Field:
    """Where the vertebral bodies' centres are: a gentle kyphosis."""
    return 68 - ((z - 20) * (1 / 160)) ** 2 * 16


def ventricles(at: Points) -> Field:
    """Both ventricles, the apex pointing left, forward and down."""
    return ellipsoid(turned(at, VENTRICLES[0], about_y_deg=-28, about_z_deg=24), *VENTRICLES)


def atria(at: Points) -> Field:
    return either(ellipsoid(at, *RIGHT_ATRIUM), ellipsoid(at, *LEFT_ATRIUM), 4)


def mediastinum(at: Points) -> Field:
    """What lies between the lungs: heart, great vessels, airways, oesophagus, spine, and the fat around them."""
    heart = either(ventricles(at), atria(at), 6) - 3
    column = ellipsoid(at, (0.0, 2.0, 40.0), (34.0, 38.0, 250.0)) + 6 * ramp(at.z, 60, 20)
    arch = tubes(at, AORTA[:5], 3.0)
    behind = tubes(at, (*AORTA[5:8], *OESOPHAGUS), 2.0)
    hila = either(ellipsoid(at, HILA[-1], (16.0, 15.0, 25.0)), ellipsoid(at, HILA[1], (15.0, 15.0, 22.0)))
    spine = np.sqrt(at.x * at.x + np.maximum(spine_centre_y_mm(at.z) - at.y, 0) ** 2) - 22
    middle = either(either(heart, column, 16), arch, 10)
    return either(either(middle, hila, 16), either(behind, spine, 10), 8)


def diaphragm(at: Points) -> Field:
    """Negative above the diaphragm: a dome for each side, the right one higher, falling away to the back."""
    top = -90 - 9 * ramp(at.x, -14, 14)
    across = (np.abs(at.x) - 62) * (1 / 84)
    along = (at.y + 12) * (1 / 98)
    away = across * across + along * along * (0.45 + 0.55 * ramp(at.y, -40, 30))
    field: Field = (top - 32 * away - 13 * away * away - at.z) * 0.7
    return field


def lungs(at: Points) -> tuple[Field, Field]:
    """Right and left lung: airspace and the vessels inside it, without trachea, main and lobar bronchi."""
    hollow = both(both(cavity(at) + 2, -mediastinum(at), 9), diaphragm(at), 3)
    hollow = np.maximum(hollow, -tubes(at, BRONCHI, AIRWAY_WALL_MM))
    midline = at.x - 4 * np.sin(at.z * (1 / 21)) - 0.06 * at.y
    apart = JUNCTION_MM / 2 + 19 * ramp(at.z, 44, 92) + ramp(-at.z, 4, 56) * (16 + 0.4 * np.maximum(-at.y - 40, 0))
    return np.maximum(hollow, midline + apart), np.maximum(hollow, apart - midline)
