"""Every step of post-processing, from scores on the prepared grid to labels on oblique, anisotropic images."""

from collections.abc import Callable

import numpy as np
import pytest

from ai.postprocessing.finishing import finish
from ai.postprocessing.table import FINISHING
from ai.preparation.pipeline import Prepared, prepare
from ai.preparation.table import PREPARATION
from ai.step import choose, read_chain
from ai.volume import Facts, Inputs, Volume
from tests.unit.ai.test_preparation_geometry import OBLIQUE, SHAPE, SPACING_MM, centroid_mm, dice

BIG, OTHER = (np.array([0.5, 0.4, 0.36]), 19.0), (np.array([0.5, 0.5, 0.78]), 11.0)
SPECK, HOLE = (np.array([0.8, 0.85, 0.2]), 5.0), (np.array([0.5, 0.4, 0.36]), 6.0)
"""Balls: the middle as a share of the images along (slices, rows, columns), and the radius in mm."""
DICE, CENTROID_MM, FAR_MM = 0.97, 0.3, 2.0

Ball = tuple[np.ndarray, float]
Distance = Callable[[np.ndarray], np.ndarray]


def inside(ball: Ball, places: np.ndarray) -> np.ndarray:
    """How far in mm each place in the patient lies within a ball; below 0 outside."""
    middle = (OBLIQUE @ np.append(ball[0] * (np.array(SHAPE) - 1), 1))[:3]
    return ball[1] - np.linalg.norm(places - middle, axis=-1)


def needle(places: np.ndarray) -> np.ndarray:
    """Thin, from the ball to the images' end along their rows."""
    index = (places - OBLIQUE[:3, 3]) @ np.linalg.inv(OBLIQUE[:3, :3]).T
    away = np.linalg.norm((index - BIG[0] * (np.array(SHAPE) - 1))[..., :2] * SPACING_MM[:2], axis=-1)
    return np.where(index[..., 2] < BIG[0][2] * SHAPE[2], 2.4 - away, -9.0)


def places_of(affine: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    return np.moveaxis(np.indices(shape), 0, -1) @ affine[:3, :3].T + affine[:3, 3]


def scores(prepared: Prepared, *regions: Distance) -> np.ndarray:
    """Probabilities as a network gives them: background, then each region, soft over about a voxel."""
    volume = prepared.reference_volume
    places = places_of(volume.affine_lps, volume.array.shape)
    soft = [1 / (1 + np.exp(-np.clip(region(places) / 0.7, -30, 30))) for region in regions]
    return np.stack([1 - np.max(soft, axis=0), *soft]).astype(np.float32)


def big(places: np.ndarray) -> np.ndarray:
    return inside(BIG, places)


def other(places: np.ndarray) -> np.ndarray:
    return inside(OTHER, places)


def speckled(places: np.ndarray) -> np.ndarray:
    return np.maximum(inside(BIG, places), inside(SPECK, places))


def hollow(places: np.ndarray) -> np.ndarray:
    return np.minimum(inside(BIG, places), -inside(HOLE, places))


def with_needle(places: np.ndarray) -> np.ndarray:
    return np.maximum(inside(BIG, places), needle(places))


def either(places: np.ndarray) -> np.ndarray:
    return np.maximum(inside(BIG, places), inside(OTHER, places))


CASES: dict[str, tuple[Distance, dict[str, object], tuple[Distance, ...]]] = {
    "argmax": (big, {}, (big, other)),
    "threshold": (big, {}, (big, other)),
    "largest-component": (speckled, {"labels": [1]}, (big, other)),
    "minimum-size": (speckled, {"least_ml": 2.0}, (big, other)),
    "fill-holes": (hollow, {}, (big, other)),
    "smooth": (with_needle, {"sigma_mm": 2.4, "labels": [1]}, (big, other)),
    "merge": (big, {"labels": [2], "into": 1}, (either,)),
}
"""What the network saw as the first of two regions, the step's parameters, and what is found in the end."""


def test_every_step_has_its_case() -> None:
    assert set(CASES) == set(FINISHING)


DECIDING = ("argmax", "threshold")


@pytest.mark.parametrize(
    ("name", "decided"), [(one, how) for one in CASES for how in ([one] if one in DECIDING else DECIDING)]
)
def test_what_a_step_leaves_lies_where_it_was(name: str, decided: str) -> None:
    seen, parameters, truths = CASES[name]
    cleaning = [] if name in DECIDING else [{"step": name, **parameters}]
    chain = read_chain([{"step": decided}, *cleaning], FINISHING, where="[[finish]]")
    volume = Volume(np.zeros(SHAPE, np.int16), OBLIQUE, SPACING_MM, Facts(modality="CT"))
    steps = choose(PREPARATION, "orient", axes="SAR"), choose(PREPARATION, "resample", spacing_mm=(2.0, 2.0, 2.0))
    prepared = prepare(Inputs({"ct": volume}, "ct"), steps)
    said = scores(prepared, seen, other)[decided == "threshold" :]
    places = places_of(OBLIQUE, SHAPE)

    layers = finish(prepared, said.copy(), chain)

    assert layers.max() == len(truths)
    for label, truth in enumerate(truths, 1):
        found, expected = (layers == label).any(axis=0), truth(places) >= 0
        away_mm = np.linalg.norm(centroid_mm(found, OBLIQUE) - centroid_mm(expected, OBLIQUE))
        assert dice(found, expected) >= DICE
        assert away_mm <= CENTROID_MM
        assert not is_far(found, truth, places)
    uncleaned = finish(prepared, said, chain[:1])
    assert is_far((uncleaned == 1).any(axis=0), truths[0], places) == bool(cleaning)


def is_far(found: np.ndarray, truth: Distance, places: np.ndarray) -> bool:
    """Some voxel is wrong that lies further from the surface than FAR_MM."""
    depth = truth(places)
    return bool(((found != (depth >= 0)) & (np.abs(depth) > FAR_MM)).any())
