"""What is inside the phantom's lungs: a branching vessel tree, and regions of low attenuation."""

from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

from node.rehearsal.chest import lungs
from node.rehearsal.chest.solids import Field, Point, Points, Tube, ellipsoid

Targets = npt.NDArray[np.float64]
SEED = 20260
TERMINALS_PER_TREE = 420
TERMINAL_MM = 0.78
FISSURE_MM = 0.5
LOW_HU = -1000.0
"""Air; -950 HU lies half-way to the parenchyma, so that partial volume and noise err to both sides alike."""


@dataclass(frozen=True)
class Blob:
    """One region of low attenuation: an ellipsoid with an uneven surface."""

    centre: Point
    radii_mm: Point

    def field(self, at: Points) -> Field:
        return ellipsoid(at, self.centre, self.radii_mm) + uneven(at)

    @property
    def reach_mm(self) -> float:
        return max(self.radii_mm) + 2.5


def uneven(at: Points) -> Field:
    """Up to 2 mm, over about 2 cm: no region is a perfect ellipsoid."""
    field: Field = 2.0 * np.sin(at.x * 0.31 + 0.4) * np.sin(at.y * 0.27 + 1.1) * np.sin(at.z * 0.29 + 2.0)
    return field


def attenuation_hu(at: Points) -> Field:
    """The parenchyma between the vessels: denser towards the back, on which the patient lies, and a little uneven."""
    return -884 + 0.1 * at.y + 2 * uneven(at)


def fissures(at: Points) -> tuple[Field, Field]:
    """Zero on the interlobar fissures: the oblique ones of both lungs, the horizontal one of the right lung.

    On the wrong side of the oblique fissure, and on the left, the horizontal one is moved out of the lungs.
    """
    oblique = (at.z + 20 + 3 * np.sin(at.x * 0.06) - 0.95 * at.y - at.x * at.x * (1 / 900)) * 0.72
    horizontal = at.z - 4 - 0.08 * at.x - 4 * np.sin(at.y * 0.03)
    return oblique, np.where((oblique > 0) & (at.x < 0), horizontal, 300)


def inside(places: Targets) -> tuple[Field, Field]:
    """The lungs' fields at places (n, 3)."""
    return lungs.lungs(Points(*(places[:, axis].astype(np.float32) for axis in range(3))))


def scatter(rng: np.random.Generator, count: int, side: int, depth_mm: float) -> Targets:
    """Places spread evenly through one lung (-1 right, 1 left), at least `depth_mm` below its surface."""
    kept: list[Targets] = []
    while sum(len(one) for one in kept) < count:
        places = rng.uniform((-140, -100, -175), (140, 105, 135), (8 * count, 3))
        kept.append(places[inside(places)[0 if side < 0 else 1] < -depth_mm])
    return np.concatenate(kept)[:count]


def branch(start: Targets, targets: Targets, found: list[Tube], radius_mm: float) -> None:
    """Grow a tree towards all targets: go part of the way to their middle, split them in two, and again.

    Volume-filling growth after Tawhai et al., Ann Biomed Eng 28 (2000) 793; calibres after Murray's law.
    """
    tip = TERMINAL_MM * len(targets) ** (1 / 3)
    if len(targets) == 1:
        found.append(Tube(_point(start), _point(targets[0]), min(radius_mm, 2 * tip), 0.7 * tip))
        return
    middle = targets.mean(axis=0)
    end = start + (0.42 if len(targets) > 3 else 0.5) * (middle - start)
    found.append(Tube(_point(start), _point(end), radius_mm, tip))
    spread = targets - middle
    axis = np.linalg.svd(spread, full_matrices=False)[2][0]
    order = np.argsort(spread @ axis)
    half = len(targets) // 2
    branch(end, targets[order[:half]], found, tip)
    branch(end, targets[order[half:]], found, tip)


def _point(place: Targets) -> Point:
    return float(place[0]), float(place[1]), float(place[2])


@cache
def vessels() -> tuple[Tube, ...]:
    """Arteries and veins of both lungs; they end inside the lungs and are counted as lung."""
    rng = np.random.default_rng(SEED)
    found: list[Tube] = []
    for side, hilum in lungs.HILA.items():
        for shift in ((0.0, -2.0, 10.0), (0.0, -8.0, -10.0)):
            start = np.array(hilum) + np.array(shift)
            branch(
                start, scatter(rng, TERMINALS_PER_TREE, side, 5.0), found, TERMINAL_MM * TERMINALS_PER_TREE ** (1 / 3)
            )
    return tuple(found)


@cache
def low_attenuation() -> tuple[Blob, ...]:
    """Regions of destroyed lung in clusters, more of them towards the apex and on the right."""
    rng = np.random.default_rng(SEED + 1)
    found: list[Blob] = []
    for side, clusters in ((-1, 38), (1, 30)):
        places = scatter(rng, 8 * clusters, side, 6.0)
        chance = np.exp(places[:, 2] / 50.0)
        for index in rng.choice(len(places), clusters, replace=False, p=chance / chance.sum()):
            size = 5.5 + 8.0 * rng.random() ** 2
            for centre in places[index] + rng.normal(0, 0.75 * size, (3, 3)):
                radii = size * rng.uniform(0.6, 1.25, 3)
                found.append(Blob(_point(centre), _point(radii)))
    return tuple(found)
