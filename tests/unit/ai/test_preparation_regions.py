"""Steps that segment, and the step that registers: on made images whose answer is known."""

import numpy as np
import pytest

from ai.errors import CardInvalid, ModelFailed
from ai.preparation.pipeline import prepare
from ai.preparation.placed import Placed
from ai.preparation.table import PREPARATION
from ai.step import choose, read_chain
from ai.volume import Facts, Inputs, Volume
from tests.unit.ai.test_preparation_geometry import affine, rotated

SPACING_MM = (2.0, 1.5, 1.5)
SHAPE = (30, 40, 44)
PLACES = (np.indices(SHAPE) - np.array([15, 20, 22]).reshape(3, 1, 1, 1)) * np.reshape(SPACING_MM, (3, 1, 1, 1))
BALL = (PLACES**2).sum(axis=0) < 18**2
CORE = (PLACES**2).sum(axis=0) < 9**2
SPECK = ((PLACES - np.array([22, 24, 26]).reshape(3, 1, 1, 1)) ** 2).sum(axis=0) < 4**2


def image(noise: float = 6.0) -> np.ndarray:
    """Dark ground at 0, a ball at 100 with a core at 200, and a speck at 110 apart from it."""
    made = np.where(CORE, 200.0, np.where(BALL, 100.0, np.where(SPECK, 110.0, 0.0)))
    return (made + np.random.default_rng(8).normal(0, noise, SHAPE)).astype(np.float32)


def made(name: str, array: np.ndarray, **given: object) -> np.ndarray:
    placed = Placed.at_source(Volume(array, affine(spacing=SPACING_MM), SPACING_MM, Facts()))
    chosen = choose(PREPARATION, name, **given)
    found = chosen.step.call(placed, **chosen.values).array
    assert found.dtype == np.uint8
    return found


def dice(a: np.ndarray, b: np.ndarray) -> float:
    return 2 * np.count_nonzero(a & b) / (np.count_nonzero(a) + np.count_nonzero(b))


def test_between_takes_both_ends() -> None:
    values = np.array([[[1.0, 2, 3, 4]]])

    assert made("between", values, low=2, high=3).tolist() == [[[0, 1, 1, 0]]]
    assert made("between", values, low=2).tolist() == [[[0, 1, 1, 1]]]


def test_otsu_parts_dark_from_bright_where_the_variance_between_is_highest() -> None:
    """Against every threshold tried one by one."""
    values = image()
    found = made("otsu", values, bins=256)
    edges = np.linspace(values.min(), values.max(), 257)[1:-1]

    def variance_between(edge: float) -> float:
        above = values > edge
        share = above.mean()
        return share * (1 - share) * (values[above].mean() - values[~above].mean()) ** 2 if 0 < share < 1 else 0.0

    best = max(edges, key=variance_between)
    assert dice(found == 1, values > best) > 0.999
    assert dice(found == 1, BALL | SPECK) > 0.99


@pytest.mark.parametrize("name", ["multi-otsu", "k-means"])
def test_three_tissues_are_three_classes_from_dark_to_bright(name: str) -> None:
    found = made(name, image(), classes=3)

    assert dice(found == 0, ~(BALL | SPECK)) > 0.99
    assert dice(found == 1, (BALL & ~CORE) | SPECK) > 0.98
    assert dice(found == 2, CORE) > 0.99


def test_k_means_ends_where_every_value_is_nearest_its_own_mean() -> None:
    values = image()
    found = made("k-means", values, classes=3)
    means = np.array([values[found == label].mean() for label in range(3)])

    assert np.mean(np.abs(values[..., None] - means).argmin(axis=-1) == found) > 0.999


def test_a_region_grows_from_its_seeds_and_no_farther() -> None:
    """The speck is as bright as the ball but holds no seed."""
    found = made("region-growing", image(), low=50, seed_low=180)

    assert dice(found == 1, BALL) > 0.99
    assert not (found[SPECK & ~BALL] == 1).any()
    assert not made("region-growing", image(), low=50, seed_low=900).any()


def test_the_watershed_ends_on_the_steepest_edge() -> None:
    """Markers far from the edge: the flood meets at it."""
    from_filters = choose(PREPARATION, "gaussian", sigma_mm=1.5)
    placed = Placed.at_source(Volume(image(3.0), affine(spacing=SPACING_MM), SPACING_MM))
    smooth = from_filters.step.call(placed, **from_filters.values).array
    found = made("watershed", np.minimum(smooth, 100), below=12, above=88)

    assert dice(found == 1, BALL | SPECK) > 0.97
    with pytest.raises(CardInvalid, match="above = 10 must be more than below = 20"):
        made("watershed", smooth, below=20, above=10)


def test_a_level_set_is_smooth_where_a_threshold_is_torn() -> None:
    """Noise as strong as the contrast: the surface is far nearer the truth, and its area a fraction."""
    values = image(45.0)
    torn = made("between", values, low=50, high=400)
    found = made("level-set", values, low=50, high=400, curvature=3.0, iterations=200)
    surface = [np.count_nonzero(np.diff(one.astype(int), axis=2)) for one in (torn, found)]

    assert dice(found == 1, BALL | SPECK) > 0.94 > dice(torn == 1, BALL | SPECK)
    assert surface[1] < surface[0] / 4
    assert not made("level-set", values, low=5000, high=6000).any()


def test_components_are_labels_largest_first() -> None:
    found = made("components", image(), above=60, count=2)

    assert dice(found == 1, BALL) > 0.99
    assert dice(found == 2, SPECK & ~BALL) > 0.98
    assert set(np.unique(made("components", image(), above=60))) == {0, 1}


def head(at: np.ndarray, shape: tuple[int, ...], contrast: tuple[float, float, float]) -> np.ndarray:
    """A lopsided thing of three tissues, sampled on a grid; contrast: the value of each."""
    index = np.stack(np.meshgrid(*(np.arange(size) for size in shape), indexing="ij"), axis=-1)
    x, y, z = np.moveaxis(index @ at[:3, :3].T + at[:3, 3], -1, 0)
    skull = (x / 60) ** 2 + (y / 75) ** 2 + (z / 65) ** 2 < 1
    inner = ((x - 18) / 22) ** 2 + ((y + 20) / 15) ** 2 + ((z - 5) / 30) ** 2 < 1
    low = ((x + 25) / 12) ** 2 + ((y - 30) / 18) ** 2 + ((z + 20) / 10) ** 2 < 1
    made = np.where(low, contrast[2], np.where(inner, contrast[1], np.where(skull, contrast[0], 0.0)))
    return (made + np.random.default_rng(9).normal(0, 3, shape)).astype(np.float32)


def centred(spacing: tuple[float, float, float], shape: tuple[int, ...], turn: np.ndarray | None = None) -> np.ndarray:
    at = affine(turn, spacing)
    at[:3, 3] = -at[:3, :3] @ ((np.array(shape) - 1) / 2)
    return at


@pytest.mark.parametrize("kind", ["rigid", "affine"])
def test_registration_finds_the_motion_between_two_contrasts(kind: str) -> None:
    """The moving image of other contrast was turned by 8° and shifted by 9 mm: places fit within a voxel after it."""
    shape, other_shape = (38, 48, 46), (44, 56, 52)
    fixed_at, moving_at = centred((4.0, 4.0, 4.0), shape), centred((3.5, 3.2, 3.2), other_shape)
    motion = np.eye(4)
    motion[:3, :3], motion[:3, 3] = rotated(8, 2) @ rotated(-4, 0), (9.0, -5.0, 4.0)
    fixed = Volume(head(fixed_at, shape, (100, 200, 40)), fixed_at, (4.0, 4.0, 4.0), frame_of_reference="A")
    seen_at = np.linalg.inv(motion) @ moving_at
    moving = Volume(head(seen_at, other_shape, (300, 120, 220)), moving_at, (3.5, 3.2, 3.2), frame_of_reference="B")
    chain = read_chain(
        [{"step": "register", "to": "mr", "kind": kind, "value": 0.0}],
        PREPARATION, where="card", inputs=("mr", "ct"), reference="mr",
    )  # fmt: skip
    prepared = prepare(Inputs({"mr": fixed, "ct": moving}, "mr"), chain)
    moved = prepared.placed["ct"]

    assert moved.shape == shape
    assert prepared.stacked().shape == (2, *shape)
    assert moved.volume.frame_of_reference == "A"
    assert np.array_equal(moved.volume.affine_lps, fixed_at)
    corners = np.array([[x, y, z, 1.0] for x in (-50, 50) for y in (-60, 60) for z in (-50, 50)]).T
    indices = np.linalg.inv(fixed_at) @ corners
    away = (moving_at @ moved.to_source @ indices - motion @ corners)[:3]
    assert np.linalg.norm(away, axis=0).max() < 4.0
    truth = head(fixed_at, shape, (300, 120, 220))
    assert np.corrcoef(moved.array.ravel(), truth.ravel())[0, 1] > 0.95


def test_registration_gives_the_same_answer_every_time() -> None:
    at = centred((6.0, 6.0, 6.0), (24, 30, 28))
    one, other = (Volume(head(at, (24, 30, 28), c), at, (6.0, 6.0, 6.0)) for c in ((100, 200, 40), (300, 120, 220)))
    chain = read_chain([{"step": "register", "to": "a"}], PREPARATION, where="card", inputs=("a", "b"))
    first, second = (prepare(Inputs({"a": one, "b": other}, "a"), chain).placed["b"].array for _ in range(2))

    assert np.array_equal(first, second)


def test_images_that_cannot_be_registered_are_a_failure_with_the_reason() -> None:
    at = affine(spacing=SPACING_MM)
    flat = Volume(np.zeros(SHAPE, np.float32), at, SPACING_MM)
    chain = read_chain([{"step": "register", "to": "a"}], PREPARATION, where="card", inputs=("a", "b"))

    with pytest.raises(ModelFailed, match="could not be registered"):
        prepare(Inputs({"a": flat, "b": flat}, "a"), chain)
