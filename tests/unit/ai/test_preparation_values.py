"""Steps of intensity and filters: each against its formula computed another way, or against what must hold of it."""

import inspect

import numpy as np
import pytest

from ai.errors import CardInvalid, ModelRefused
from ai.preparation.placed import Placed
from ai.preparation.table import PREPARATION
from ai.step import Chosen, Form, choose, read_chain
from ai.volume import Facts, Volume

SPACING_MM = (3.0, 1.0, 1.5)
SHAPE = (7, 9, 11)


def placed(array: np.ndarray, spacing: tuple[float, float, float] = SPACING_MM, facts: Facts | None = None) -> Placed:
    affine = np.eye(4)
    affine[:3, :3] = np.array([[0.0, 0, 1], [0, 1, 0], [1, 0, 0]]) @ np.diag(spacing)
    return Placed.at_source(Volume(array, affine, spacing, facts or Facts()))


def made(name: str, array: np.ndarray, **given: object) -> np.ndarray:
    chosen = choose(PREPARATION, name, **given)
    return chosen.step.call(placed(array), **chosen.values).array


NOISE = np.random.default_rng(3).normal(40, 25, SHAPE).astype(np.float32)
HU = np.array([[[-2000, -1000, -300, 400, 3000]]], dtype=np.int16)


def boxes(values: np.ndarray, radius: tuple[int, int, int]) -> np.ndarray:
    """Every voxel's box, the edge repeated: (…, box)."""
    wide = np.pad(values.astype(np.float64), [(r, r) for r in radius], mode="edge")
    return np.lib.stride_tricks.sliding_window_view(wide, [2 * r + 1 for r in radius]).reshape(*values.shape, -1)


def distances_mm(shape: tuple[int, ...], spacing: tuple[float, ...] = SPACING_MM) -> np.ndarray:
    """From the middle voxel."""
    index = np.stack(
        np.meshgrid(*((np.arange(n) - n // 2) * s for n, s in zip(shape, spacing, strict=True)), indexing="ij")
    )
    return np.sqrt((index**2).sum(axis=0))


def test_every_steps_function_takes_what_its_row_says() -> None:
    """Names and order of the parameters; an INPUT is a placed volume."""
    for step in PREPARATION.values():
        taken = inspect.signature(inspect.unwrap(step.call)).parameters.values()
        named = [one for one in taken if one.kind is one.KEYWORD_ONLY]

        assert [one.name for one in named] == [one.name for one in step.parameters], step.name
        assert all(
            (one.annotation is Placed) == (row.form is Form.INPUT)
            for one, row in zip(named, step.parameters, strict=True)
        )
        assert all(row.default is None or not row.required for row in step.parameters)


@pytest.mark.parametrize(
    ("name", "given", "expected"),
    [
        ("window", {"low": -1000, "high": 400}, [0, 0, 0.5, 1, 1]),
        ("window", {"low": -1000, "high": 400, "out_low": -1, "out_high": 1}, [-1, -1, 0, 1, 1]),
        ("clip", {"low": -1000, "high": 400}, [-1000, -1000, -300, 400, 400]),
        ("scale", {"gain": 0.5, "offset": 10}, [-990, -490, -140, 210, 1510]),
        ("log", {"offset": 1000}, np.log([700, 700, 700, 1400, 4000])),
        ("gamma", {"exponent": 2.0}, -2000 + 5000 * np.array([0, 0.2, 0.34, 0.48, 1]) ** 2),
        ("z-score", {"mean": 100, "deviation": 50}, [-42, -22, -8, 6, 58]),
        ("z-score", {}, (HU.ravel() - HU.mean()) / HU.std()),
        ("z-score", {"above": -500}, (HU.ravel() - np.mean([-300, 400, 3000])) / np.std([-300, 400, 3000])),
        ("min-max", {}, [0, 0.2, 0.34, 0.48, 1]),
        ("min-max", {"out_low": -1, "out_high": 1}, [-1, -0.6, -0.32, -0.04, 1]),
        ("percentile", {"low": 25, "high": 75}, [0, 0, 0.5, 1, 1]),
        ("monochrome1", {}, [3000, 2000, 1300, 600, -2000]),
    ],
)
def test_intensity_is_that_of_its_formula(name: str, given: dict[str, float], expected: list[float]) -> None:
    assert np.allclose(made(name, HU, **given).ravel(), expected, rtol=1e-5)


def test_equalised_values_are_the_share_of_voxels_below() -> None:
    found = made("equalise", NOISE, bins=65536).ravel()
    ranks = np.argsort(np.argsort(NOISE.ravel()))

    assert np.abs(found - (ranks + 1) / NOISE.size).max() < 2 / NOISE.size + 0.01
    assert np.array_equal(np.argsort(np.argsort(found)), ranks)


def test_clahe_equalises_where_alpha_is_0_and_leaves_the_mean_of_a_window_in_the_middle() -> None:
    """Its own limits: alpha and beta 1 leave the image; a window over everything is one histogram, so ranks stay."""
    same = made("clahe", NOISE, alpha=1.0, beta=1.0)
    flat = made("clahe", NOISE, radius=(7, 9, 11), alpha=0.0, beta=0.0)

    assert np.allclose(same, NOISE, atol=1e-3)
    assert np.array_equal(np.argsort(np.argsort(flat.ravel())), np.argsort(np.argsort(NOISE.ravel())))
    assert np.abs(flat - NOISE).max() > 1


def test_matched_histograms_have_the_quantiles_of_the_other_input() -> None:
    """Through a gain, an offset and another shape: it comes out as the other input's values are distributed."""
    other = np.random.default_rng(4).normal(-300, 60, (9, 12, 14)).astype(np.float32)
    chosen = choose_to("match-histogram", points=31, levels=1024)
    found = chosen.step.call(placed(NOISE), **{**chosen.values, "to": placed(other)}).array
    at = [5, 25, 50, 75, 95]

    assert np.abs(np.percentile(found, at) - np.percentile(other, at)).max() < 6


def choose_to(name: str, **given: object) -> Chosen:
    return read_chain([{"step": name, "to": "pet", **given}], PREPARATION, where="card", inputs=("ct", "pet"))[0]


def test_suv_is_the_headers_factor_or_a_refusal() -> None:
    step = PREPARATION["suv"]
    found = step.call(placed(np.full(SHAPE, 5000.0), facts=Facts(suv_bw_factor=2e-4))).array

    assert np.allclose(found, 1.0)
    with pytest.raises(ModelRefused, match="dose, half-life, both times and weight"):
        step.call(placed(NOISE))


@pytest.mark.parametrize("radius", [(1, 1, 1), (0, 2, 1)])
def test_box_filters_are_those_of_every_box(radius: tuple[int, int, int]) -> None:
    around = boxes(NOISE, radius)

    assert np.allclose(made("mean", NOISE, radius=radius), around.mean(axis=-1), atol=1e-3)
    assert np.allclose(made("median", NOISE, radius=radius), np.median(around, axis=-1))
    assert np.allclose(made("minimum", NOISE, radius=radius), around.min(axis=-1))
    assert np.allclose(made("maximum", NOISE, radius=radius), around.max(axis=-1))
    opened = boxes(around.min(axis=-1), radius).max(axis=-1)
    closed = boxes(around.max(axis=-1), radius).min(axis=-1)
    assert np.allclose(made("opening", NOISE, radius=radius), opened)
    assert np.allclose(made("closing", NOISE, radius=radius), closed)


def test_a_gaussian_has_its_weight_and_its_width_in_mm() -> None:
    """A point becomes a spot of the same sum whose variance along each axis is σ²; another σ, another width."""
    point = np.zeros((15, 41, 31), np.float32)
    point[7, 20, 15] = 1000
    spot = made("gaussian", point, sigma_mm=3.0)
    away = (np.indices(point.shape) - np.array([7, 20, 15]).reshape(3, 1, 1, 1)) * np.reshape(SPACING_MM, (3, 1, 1, 1))

    assert np.isclose(spot.sum(), 1000, rtol=2e-3)
    assert np.allclose([np.average(one**2, weights=spot) for one in away], 9, rtol=0.03)


def test_sharpening_adds_what_the_gaussian_takes_away() -> None:
    blurred = made("gaussian", NOISE, sigma_mm=1.5)

    assert np.allclose(made("sharpen", NOISE, sigma_mm=1.5, amount=0.7), NOISE + 0.7 * (NOISE - blurred), atol=1e-3)


def test_bilateral_smooths_what_is_alike_and_not_across_an_edge() -> None:
    step = np.where(np.arange(24) < 12, 0.0, 1000.0) + np.random.default_rng(5).normal(0, 5, (6, 20, 24))
    found = made("bilateral", step.astype(np.float32), sigma_mm=2.0, sigma_value=30.0)

    assert found[:, :, :12].std() < 2 < step[:, :, :12].std()
    assert found[:, :, 11].max() < 10
    assert found[:, :, 12].min() > 990


def test_diffusion_keeps_the_sum_and_an_edge_and_evens_out_noise() -> None:
    step = np.where(np.arange(24) < 12, 0.0, 1000.0) + np.random.default_rng(5).normal(0, 5, (6, 20, 24))
    found = made("diffusion", step.astype(np.float32), iterations=20, conductance=0.5)

    assert np.isclose(found.mean(), step.mean(), rtol=1e-3)
    assert found[:, :, 2:9].std() < 0.5 * step[:, :, 2:9].std()
    assert (found[:, :, 12] - found[:, :, 11]).min() > 950
    assert np.array_equal(made("diffusion", np.full(SHAPE, 3.0, np.float32)), np.full(SHAPE, 3.0))


def test_non_local_means_are_those_of_their_formula() -> None:
    """One voxel in the middle, from its definition; far strength is the mean of the window, none is the image."""
    patch, search, strength = (1, 1, 1), (1, 2, 2), 20.0
    found = made("non-local-means", NOISE, patch_radius=patch, search_radius=search, strength=strength)
    centre, weights, total = (3, 4, 5), 0.0, 0.0
    around = lambda at: NOISE[tuple(slice(a - r, a + r + 1) for a, r in zip(at, patch, strict=True))].astype(np.float64)  # noqa: E731
    for shift in np.ndindex(3, 5, 5):
        other = tuple(c + s - r for c, s, r in zip(centre, shift, search, strict=True))
        weight = np.exp(-((around(centre) - around(other)) ** 2).mean() / strength**2)
        weights, total = weights + weight, total + weight * NOISE[other]

    assert np.isclose(found[centre], total / weights, rtol=1e-4)
    assert np.allclose(
        made("non-local-means", NOISE, search_radius=search, strength=1e6), boxes(NOISE, search).mean(-1), rtol=1e-3
    )
    assert np.allclose(made("non-local-means", NOISE, strength=0.5), NOISE, atol=1e-3)


def test_passes_halve_their_wavelength_and_keep_what_they_let_through() -> None:
    """Waves along the columns (1.5 mm), whole in the mirrored image: amplitudes as the formula has them."""
    columns = np.arange(120)

    def amplitude(name: str, wavelength_mm: float, **given: float) -> float:
        wave = np.cos(2 * np.pi * (columns + 0.5) * 1.5 / wavelength_mm) * np.ones((1, 4, 1))
        passed = made(name, wave.astype(np.float32), **given)
        return float(passed[0, 2, 20:100].std() / wave[0, 2, 20:100].std())

    for wavelength in (6.0, 15.0, 60.0):
        low, high = 1 / (1 + (15 / wavelength) ** 4), (15 / wavelength) ** 4 / (1 + (15 / wavelength) ** 4)
        both = high * 1 / (1 + (6 / wavelength) ** 4)
        assert amplitude("low-pass", wavelength, shortest_mm=15.0) == pytest.approx(low, abs=0.02)
        assert amplitude("high-pass", wavelength, longest_mm=15.0) == pytest.approx(high, abs=0.02)
        assert amplitude("band-pass", wavelength, shortest_mm=6.0, longest_mm=15.0) == pytest.approx(both, abs=0.02)
    assert np.allclose(made("low-pass", NOISE * 0 + 7, shortest_mm=10.0), 7, atol=1e-4)
    assert np.allclose(made("high-pass", NOISE * 0 + 7, longest_mm=10.0), 0, atol=1e-4)


def test_sobel_is_the_slope_per_mm() -> None:
    slopes = np.array([2.0, -3.0, 0.5])
    ramp = np.tensordot(slopes * SPACING_MM, np.indices(SHAPE), 1).astype(np.float32)
    found = made("sobel", ramp)

    assert np.allclose(found[1:-1, 1:-1, 1:-1], np.linalg.norm(slopes), rtol=1e-4)
    index, kernel = (3, 4, 5), np.multiply.outer(np.multiply.outer([1, 2, 1], [1, 2, 1]), [-1, 0, 1]) / 16
    gradient = [
        (NOISE[2:5, 3:6, 4:7] * np.moveaxis(kernel, 2, axis)).sum() / (2 * SPACING_MM[axis]) for axis in range(3)
    ]
    assert np.isclose(made("sobel", NOISE)[index], np.linalg.norm(gradient), rtol=1e-4)


def test_roberts_lies_between_the_voxels_and_its_grid_says_so() -> None:
    step = PREPARATION["roberts"]
    found = step.call(placed(NOISE))
    k, r, c = 2, 3, 4
    crossed = np.hypot(NOISE[k, r, c] - NOISE[k, r + 1, c + 1], NOISE[k, r + 1, c] - NOISE[k, r, c + 1])

    assert np.isclose(found.array[k, r, c], crossed)
    assert found.shape == (7, 8, 10)
    assert np.allclose(found.affine_lps[:3, 3], [0.75, 0.5, 0.0])
    assert np.allclose(found.to_source @ [0, 0, 0, 1], [0, 0.5, 0.5, 1])


def test_canny_draws_one_line_where_a_step_is_and_none_where_there_is_none() -> None:
    step = np.where(np.arange(32) < 16, 0.0, 100.0) * np.ones((8, 24, 1))
    found = made("canny", step.astype(np.float32), sigma_mm=2.0, low=2.0, high=5.0)

    assert set(np.unique(found)) == {0, 1}
    assert (found[2:-2, 4:-4].sum(axis=-1) == 1).all()
    assert set(np.flatnonzero(found.any(axis=(0, 1)))) <= {15, 16}
    assert not made("canny", step.astype(np.float32), sigma_mm=2.0, low=200.0, high=500.0).any()


def test_the_laplacian_of_a_gaussian_is_that_of_a_parabola_and_finds_bright_spots() -> None:
    """Δ(a·x² + b·y² + c·z²) = 2(a + b + c) whatever is blurred; the spot's middle is the lowest."""
    bends = np.array([0.2, -0.1, 0.3])
    index = np.indices((21, 41, 35)) - np.array([10, 20, 17]).reshape(3, 1, 1, 1)
    parabola = np.tensordot(bends, (index * np.reshape(SPACING_MM, (3, 1, 1, 1))) ** 2, 1).astype(np.float32)
    spot = np.exp(-(distances_mm((21, 41, 35)) ** 2) / 18).astype(np.float32)

    assert made("laplacian-of-gaussian", parabola, sigma_mm=1.5)[10, 20, 17] == pytest.approx(0.8, rel=0.02)
    found = made("laplacian-of-gaussian", spot, sigma_mm=1.5)
    assert np.unravel_index(found.argmin(), found.shape) == (10, 20, 17)


def test_n4_takes_out_a_smooth_bias_field() -> None:
    """Two tissues under a field that varies by half: their spread shrinks to a fifth at most, their ratio stays."""
    z, y, x = (np.linspace(-1, 1, n) for n in (24, 40, 40))
    bias = 1 + 0.3 * x + 0.2 * y[:, None] + 0.1 * z[:, None, None]
    inside = distances_mm((24, 40, 40), (3.0, 2.0, 2.0)) < 34
    tissue = np.where(distances_mm((24, 40, 40), (3.0, 2.0, 2.0)) < 18, 300.0, 200.0) * inside
    noisy = tissue * bias + np.random.default_rng(6).normal(0, 1, tissue.shape) * inside
    found = made("n4", np.maximum(noisy, 0).astype(np.float32), shrink=2, above=50.0)
    spread = [np.std(one[tissue == 200]) / np.mean(one[tissue == 200]) for one in (noisy, found)]

    assert spread[1] < 0.2 * spread[0]
    assert np.mean(found[tissue == 300]) / np.mean(found[tissue == 200]) == pytest.approx(1.5, rel=0.03)
    with pytest.raises(ModelRefused, match="below 0"):
        made("n4", NOISE - 1000)


@pytest.mark.parametrize(
    "name", ["mean", "median", "minimum", "maximum", "opening", "closing", "gaussian", "bilateral", "diffusion",
             "sobel", "low-pass", "non-local-means", "laplacian-of-gaussian", "canny", "sharpen", "clahe"],
)  # fmt: skip
def test_a_radiograph_of_one_slice_is_filtered_in_its_plane(name: str) -> None:
    """One slice gives the same as one of many equal ones, where nothing differs across them."""
    given = {
        "gaussian": {"sigma_mm": 2.0}, "sharpen": {"sigma_mm": 2.0}, "bilateral": {"sigma_mm": 1.5, "sigma_value": 20},
        "low-pass": {"shortest_mm": 6.0}, "non-local-means": {"strength": 10.0},
        "laplacian-of-gaussian": {"sigma_mm": 2.0}, "canny": {"sigma_mm": 2.0, "low": 1.0, "high": 2.0},
    }.get(name, {})  # fmt: skip
    plane = NOISE[:1]
    found = made(name, plane, **given)

    assert found.shape == plane.shape
    assert np.isfinite(found).all()
    if name not in ("diffusion", "canny", "clahe", "non-local-means"):
        assert np.allclose(found[0], made(name, np.repeat(plane, 7, axis=0), **given)[3], atol=1e-2)


@pytest.mark.parametrize("name", ["gamma", "z-score", "min-max", "percentile", "equalise", "clahe", "monochrome1"])
def test_images_that_are_the_same_everywhere_are_refused_where_that_has_no_answer(name: str) -> None:
    with pytest.raises(ModelRefused, match="same everywhere"):
        made(name, np.full(SHAPE, 5.0), **({"exponent": 2.0} if name == "gamma" else {}))


def test_a_window_that_no_image_has_is_refused_with_its_limit() -> None:
    """With a radius of a million a study took for ever."""
    with pytest.raises(CardInvalid, match=r"clahe\): radius must be three whole numbers \(0 to 100\) voxels, found"):
        choose(PREPARATION, "clahe", radius=(1_000_000, 5, 5))
