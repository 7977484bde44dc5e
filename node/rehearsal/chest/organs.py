"""The phantom's organs: what lies between the lungs and what lies below them."""

import numpy as np

from node.rehearsal.chest import lungs
from node.rehearsal.chest.solids import Points, both, either, ellipsoid, polyline, tubes, turned
from node.rehearsal.chest.tissue import AIR, BLOOD, FAT, FLUID, HEART, LIVER, MUSCLE, SPLEEN, WALL, Tissues

VENA_CAVA = polyline(((-24.0, -4.0, -30.0), (-27.0, -8.0, 20.0), (-25.0, -10.0, 68.0)), (11.0, 9.5, 8.5))
PULMONARY_ARTERIES = (
    *polyline(
        ((12.0, -38.0, -12.0), (20.0, -26.0, 16.0), (38.0, 2.0, 24.0), (52.0, 14.0, 14.0)), (14.0, 14.0, 10.5, 8.0)
    ),
    *polyline(
        ((18.0, -18.0, 18.0), (-14.0, 2.0, 13.0), (-40.0, 6.0, 10.0), (-52.0, 12.0, -2.0)), (12.0, 10.0, 9.0, 7.5)
    ),
)
LIVER_VEINS = (
    *polyline(((-16.0, 18.0, -112.0), (-50.0, 4.0, -124.0), (-96.0, -16.0, -140.0)), (6.0, 4.5, 2.5)),
    *polyline(((-18.0, 16.0, -114.0), (-40.0, -30.0, -126.0), (-58.0, -66.0, -140.0)), (5.5, 4.0, 2.2)),
    *polyline(((-18.0, 18.0, -114.0), (-62.0, 40.0, -136.0), (-98.0, 48.0, -156.0)), (5.0, 4.0, 2.2)),
)
UPPER_VESSELS = (
    *polyline(((-12.0, -16.0, 44.0), (-18.0, -10.0, 92.0), (-34.0, 2.0, 170.0)), (7.0, 6.5, 5.0)),
    *polyline(((4.0, 2.0, 56.0), (14.0, 2.0, 100.0), (24.0, 6.0, 170.0)), (5.0, 4.5, 4.0)),
    *polyline(((18.0, 20.0, 54.0), (26.0, 16.0, 104.0), (44.0, 4.0, 150.0)), (5.5, 5.0, 4.5)),
    *polyline(((-25.0, -14.0, 68.0), (-6.0, -28.0, 76.0), (28.0, -22.0, 104.0)), (8.0, 7.0, 6.0)),
    *polyline(((-25.0, -14.0, 66.0), (-30.0, -14.0, 108.0), (-46.0, -4.0, 160.0)), (8.5, 7.0, 6.0)),
)
COLON_GAS = (
    ((102.0, -34.0, -146.0), (17.0, 20.0, 15.0)),
    ((88.0, -58.0, -160.0), (19.0, 15.0, 14.0)),
    ((58.0, -72.0, -170.0), (20.0, 12.0, 13.0)),
    ((-40.0, -78.0, -178.0), (24.0, 11.0, 14.0)),
)
STOMACH = (54.0, -14.0, -150.0)


def between_the_lungs(at: Points) -> Tissues:
    """Mediastinal fat, then heart, great vessels and oesophagus in it."""
    inside = both(lungs.cavity(at) + 2.5, lungs.diaphragm(at) - 2)
    yield both(inside, np.abs(at.x) - 92), FAT
    yield lungs.atria(at) + 2, HEART - 4
    ventricles = lungs.ventricles(at)
    yield ventricles, FAT
    yield ventricles + 4, HEART
    hila = either(ellipsoid(at, lungs.HILA[-1], (13.0, 13.0, 23.0)), ellipsoid(at, lungs.HILA[1], (12.0, 13.0, 20.0)))
    yield both(hila, np.abs(np.abs(at.x) - 50) - 12), WALL
    yield tubes(at, PULMONARY_ARTERIES), BLOOD
    yield either(tubes(at, lungs.AORTA), tubes(at, VENA_CAVA)), BLOOD
    yield tubes(at, lungs.OESOPHAGUS), WALL


def neck(at: Points) -> Tissues:
    """What leaves the chest upwards."""
    yield tubes(at, UPPER_VESSELS), BLOOD


def below_the_lungs(at: Points) -> Tissues:
    """Diaphragm, liver, spleen, stomach with an air-fluid level, gas in the colon."""
    under = -lungs.diaphragm(at)
    hollow = both(lungs.cavity(at) + 3, under + 2.5, 4)
    yield np.maximum(lungs.cavity(at) + 0.5, under), MUSCLE
    yield hollow, FAT
    liver = either(
        ellipsoid(at, (-64.0, -4.0, -160.0), (84.0, 90.0, 84.0)),
        ellipsoid(at, (4.0, -48.0, -148.0), (66.0, 36.0, 34.0)),
        20,
    )
    yield both(liver, hollow - 0.5, 3), LIVER
    yield both(tubes(at, LIVER_VEINS), hollow + 2), BLOOD - 8
    yield both(ellipsoid(at, (100.0, 50.0, -160.0), (30.0, 40.0, 46.0)), hollow + 2, 3), SPLEEN
    stomach = both(ellipsoid(turned(at, STOMACH, 20, -12), STOMACH, (36.0, 46.0, 40.0)), hollow + 3, 6)
    yield stomach, WALL
    yield stomach + 3.5, FLUID
    yield both(stomach + 3.5, at.y + 26), AIR
    for centre, radii in COLON_GAS:
        bowel = both(ellipsoid(at, centre, radii) - 3, hollow + 1, 3)
        yield bowel, WALL
        yield bowel + 2.5, AIR + 15
    yield tubes(at, lungs.AORTA[6:]), BLOOD


def airways(at: Points) -> Tissues:
    """Trachea and main bronchi."""
    lumen = either(tubes(at, lungs.TRACHEA), tubes(at, lungs.BRONCHI), 2)
    yield lumen - lungs.AIRWAY_WALL_MM, 20.0
    yield lumen, AIR
