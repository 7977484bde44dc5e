"""Steps of geometry: nothing changes its place in the patient, and what goes back lies where it came from."""

import numpy as np
import pytest

from ai.errors import CardInvalid, ModelFailed, ModelRefused
from ai.preparation.pipeline import Prepared, prepare
from ai.preparation.restoring import restore_argmax, restore_labels, restore_mask, restore_probability
from ai.preparation.table import PREPARATION
from ai.step import choose, read_chain
from ai.volume import Facts, Inputs, Volume

SHAPE = (30, 60, 56)
SPACING_MM = (3.0, 1.2, 1.4)


def rotated(degrees: float, axis: int) -> np.ndarray:
    cosine, sine = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    turn = np.eye(3)
    a, b = [one for one in range(3) if one != axis]
    turn[a, a], turn[a, b], turn[b, a], turn[b, b] = cosine, -sine, sine, cosine
    return turn


def affine(directions: np.ndarray | None = None, spacing: tuple[float, ...] = SPACING_MM) -> np.ndarray:
    """Slices to the head, rows to the back, columns to the left, turned by `directions`."""
    made = np.eye(4)
    axial = np.array([[0.0, 0, 1], [0, 1, 0], [1, 0, 0]])
    made[:3, :3] = (np.eye(3) if directions is None else directions) @ axial @ np.diag(spacing)
    made[:3, 3] = -20.0, 35.0, -400.0
    return made


OBLIQUE = affine(rotated(25, 0) @ rotated(-15, 2))


def blob(at: np.ndarray, centre_mm: np.ndarray, shape: tuple[int, ...] = SHAPE, sigma_mm: float = 9.0) -> np.ndarray:
    """A smooth bright spot at a place in the patient, sampled on a grid: the same spot on every grid."""
    index = np.stack(np.meshgrid(*(np.arange(size) for size in shape), indexing="ij"), axis=-1)
    places = index @ at[:3, :3].T + at[:3, 3]
    return np.exp(-((places - centre_mm) ** 2).sum(axis=-1) / (2 * sigma_mm**2)).astype(np.float32)


def spot(at: np.ndarray, shape: tuple[int, ...] = SHAPE) -> np.ndarray:
    """Where the spot of a volume lies: off its middle along each axis."""
    return (at @ np.array([shape[0] * 0.55, shape[1] * 0.4, shape[2] * 0.6, 1]))[:3]


def volume(at: np.ndarray = OBLIQUE) -> Volume:
    return Volume(blob(at, spot(at)) * 1000, at, tuple(np.linalg.norm(at[:3, :3], axis=0)), Facts(modality="CT"))


def centroid_mm(array: np.ndarray, at: np.ndarray) -> np.ndarray:
    """The weighted middle, in mm in the patient."""
    index = np.stack(np.meshgrid(*(np.arange(size) for size in array.shape), indexing="ij"), axis=-1)
    middle = np.average(index.reshape(-1, 3), axis=0, weights=array.ravel())
    return at[:3, :3] @ middle + at[:3, 3]


def dice(a: np.ndarray, b: np.ndarray) -> float:
    return 2 * np.count_nonzero(a & b) / (np.count_nonzero(a) + np.count_nonzero(b))


def run(one: Volume, *steps: tuple[str, dict[str, object]]) -> Prepared:
    return prepare(Inputs({"ct": one}, "ct"), tuple(choose(PREPARATION, name, **given) for name, given in steps))


CHAINS = {
    "orient": [("orient", {"axes": "RAS"})],
    "resample": [("resample", {"spacing_mm": (2.0, 2.0, 2.0)})],
    "resample-up": [("resample", {"spacing_mm": (1.0, 0.9, 0)})],
    "resample-bspline": [("resample", {"spacing_mm": (2.0, 2.0, 2.0), "interpolation": "bspline"})],
    "resize": [("resize", {"shape": (26, 45, 0)})],
    "crop": [("crop", {"before": (2, 3, 4), "after": (1, 2, 3)})],
    "pad": [("pad", {"before": (2, 3, 4), "after": (1, 2, 3)})],
    "fit": [("fit", {"shape": (35, 57, 56)})],
    "pad-to": [("pad-to", {"least": (30, 1, 1), "multiple": (16, 16, 16)})],
    "crop-to-square": [("crop-to-square", {})],
    "crop-to-foreground": [("crop-to-foreground", {"above": 20.0, "margin_mm": 2.0})],
    "crop-to-body": [("crop-to-body", {"above_hu": 20.0, "margin_mm": 4.0})],
    "centre": [("centre", {"shape": (28, 60, 60), "above": 10.0})],
    "a whole chain": [
        ("orient", {"axes": "RAS"}),
        ("crop-to-body", {"above_hu": 5.0, "margin_mm": 5.0}),
        ("resample", {"spacing_mm": (1.5, 1.5, 1.5)}),
        ("fit", {"shape": (60, 56, 66)}),
        ("pad-to", {"multiple": (16, 16, 16)}),
    ],
}


@pytest.mark.parametrize("name", CHAINS)
def test_nothing_changes_its_place_in_the_patient(name: str) -> None:
    """The affine after the step puts the spot where it was: within a tenth of the smallest voxel."""
    source = volume()
    made = run(source, *CHAINS[name]).reference_volume

    assert np.linalg.norm(centroid_mm(made.array - made.array.min(), made.affine_lps) - spot(OBLIQUE)) < 0.2
    expected = blob(made.affine_lps, spot(OBLIQUE), made.array.shape) * 1000
    assert np.abs(made.array - expected).max() < 60
    assert np.allclose(made.spacing_mm, np.linalg.norm(made.affine_lps[:3, :3], axis=0))


@pytest.mark.parametrize("name", CHAINS)
def test_what_goes_back_lies_where_it_came_from(name: str) -> None:
    """Probability, mask, labels and scores made on the prepared grid: the right shape, Dice, and centroid."""
    source = volume()
    prepared = run(source, *CHAINS[name])
    made = prepared.reference_volume
    probability = blob(made.affine_lps, spot(OBLIQUE), made.array.shape)
    truth = blob(OBLIQUE, spot(OBLIQUE)) >= 0.5

    back = restore_probability(prepared, probability)
    mask = restore_mask(prepared, probability)
    labels = restore_labels(prepared, np.where(probability >= 0.5, 3, 0).astype(np.uint8))
    best = restore_argmax(prepared, np.stack([1 - probability, probability]))

    assert back.shape == mask.shape == labels.shape == best.shape == SHAPE
    assert set(np.unique(labels)) == {0, 3}
    assert dice(mask, truth) >= 0.98
    assert dice(best == 1, truth) >= 0.98
    for found, nearly in ((mask, 0.5), (labels == 3, 0.5), (best == 1, 0.5)):
        away = np.linalg.inv(OBLIQUE[:3, :3]) @ (centroid_mm(found, OBLIQUE) - centroid_mm(truth, OBLIQUE))
        assert np.abs(away).max() < nearly


@pytest.mark.parametrize("name", ["orient", "pad", "fit", "pad-to", "a whole chain"])
def test_steps_that_only_move_voxels_are_undone_exactly(name: str) -> None:
    source = volume()
    steps = [one for one in CHAINS[name] if one[0] not in ("resample", "crop-to-body", "fit")] + (
        [("fit", {"shape": (40, 66, 59)})] if name == "fit" else []
    )
    prepared = run(source, *steps)

    assert np.array_equal(restore_probability(prepared, prepared.reference_volume.array), source.array)
    assert np.array_equal(restore_labels(prepared, prepared.reference_volume.array), source.array)


@pytest.mark.parametrize("axes", ["RAS", "SPL", "LIP", "AIR"])
def test_orient_gives_the_axes_that_were_asked_for(axes: str) -> None:
    made = run(volume(), ("orient", {"axes": axes})).reference_volume
    directions = made.affine_lps[:3, :3] / np.linalg.norm(made.affine_lps[:3, :3], axis=0)
    unit = {"L": (0, 1), "R": (0, -1), "P": (1, 1), "A": (1, -1), "S": (2, 1), "I": (2, -1)}

    assert [directions[unit[letter][0], axis] * unit[letter][1] > 0.8 for axis, letter in enumerate(axes)] == [True] * 3


def test_linear_interpolation_is_that_of_its_formula() -> None:
    """Against the eight neighbours, weighted, computed voxel by voxel."""
    generator = np.random.default_rng(1)
    array = generator.normal(size=(5, 6, 7)).astype(np.float32)
    one = Volume(array, affine(), SPACING_MM)
    made = run(one, ("resample", {"spacing_mm": (2.0, 2.0, 1.0)})).placed["ct"]

    expected = np.empty(made.shape)
    for index in np.ndindex(*made.shape):
        place = np.clip((made.to_source @ [*index, 1])[:3], 0, np.array(array.shape) - 1)
        low = np.minimum(np.floor(place).astype(int), np.array(array.shape) - 2)
        part = place - low
        expected[index] = sum(
            array[tuple(low + corner)] * np.prod(np.where(corner, part, 1 - part))
            for corner in (np.array(c) for c in np.ndindex(2, 2, 2))
        )
    assert made.shape == (8, 4, 10)
    assert np.allclose(made.volume.spacing_mm, (2.0, 2.0, 1.0))
    assert np.allclose(made.array, expected, atol=1e-5)


def test_resampling_keeps_the_middle_and_repeats_the_edge() -> None:
    source = Volume(np.full((3, 4, 5), 7.0, np.float32), affine(), SPACING_MM)
    made = run(source, ("resample", {"spacing_mm": (1.1, 0.7, 2.3)})).reference_volume
    middles = [at @ [*((np.array(shape) - 1) / 2), 1] for at, shape in (
        (source.affine_lps, source.array.shape), (made.affine_lps, made.array.shape))]  # fmt: skip

    assert np.allclose(*middles)
    assert (made.array == 7).all()


def test_padding_takes_its_value_and_what_lies_outside_goes_back_as_nothing() -> None:
    source = volume()
    padded = run(source, ("pad", {"before": (1, 0, 0), "value": -1024})).reference_volume
    cropped = run(source, ("crop", {"before": (3, 0, 0), "after": (4, 0, 0)}))
    ones = np.ones(cropped.placed["ct"].shape, np.float32)

    assert (padded.array[0] == -1024).all()
    for back in (restore_probability(cropped, ones), restore_mask(cropped, ones), restore_labels(cropped, ones)):
        assert (back[3:-4] == 1).all()
        assert not back[:3].any()
        assert not back[-4:].any()


def argmax_of_all(prepared: Prepared, scores: np.ndarray, of: str | None = None) -> np.ndarray:
    """The plain computation: every class interpolated whole."""
    return np.argmax(np.stack([restore_probability(prepared, one, of) for one in scores]), axis=0)


GRIDS = {
    "coarser": [("orient", {"axes": "LIP"}), ("resample", {"spacing_mm": (4.0, 4.0, 4.0)})],
    "finer": [("resample", {"spacing_mm": (1.0, 0.7, 2.0)})],
    "cut and turned": [("crop", {"before": (3, 5, 0), "after": (2, 0, 9)}), ("orient", {"axes": "ARS"})],
    "a voxel's thickness": [("resize", {"shape": (1, 40, 3)})],
}


@pytest.mark.parametrize("steps", GRIDS.values(), ids=GRIDS)
@pytest.mark.parametrize("kind", ["noise", "regions", "one class", "ties"])
def test_argmax_goes_back_as_if_every_class_were_interpolated_whole(steps: list, kind: str) -> None:
    """Nothing that is left out could have been highest: equal to the plain computation, voxel for voxel."""
    generator = np.random.default_rng(2)
    prepared = run(volume(), *steps)
    shape = prepared.placed["ct"].shape
    scores = generator.normal(size=(6, *shape)).astype(np.float32)
    match kind:
        case "regions":
            index = np.indices(shape) / np.array(shape).reshape(3, 1, 1, 1)
            scores *= np.float32(1e-3)
            scores += np.stack([-((index - one.reshape(3, 1, 1, 1)) ** 2).sum(0) for one in generator.random((6, 3))])
        case "one class":
            scores[4] += 9
        case "ties":
            scores = np.round(scores)

    assert np.array_equal(restore_argmax(prepared, scores), argmax_of_all(prepared, scores))


def test_a_class_that_is_highest_between_voxels_alone_is_found_there() -> None:
    prepared = run(volume(affine()), ("resize", {"shape": (0, 0, 2)}))
    scores = np.zeros((3, *prepared.placed["ct"].shape), np.float32)
    scores[0, ..., 0], scores[1, ..., 1], scores[2] = 1, 1, 0.9

    found = restore_argmax(prepared, scores)

    assert found[0, 0, [0, SHAPE[2] // 2, -1]].tolist() == [0, 2, 1]
    assert np.array_equal(found, argmax_of_all(prepared, scores))


def test_argmax_goes_back_across_axes_as_well() -> None:
    other = Volume(blob(affine(), spot(affine())), affine(), SPACING_MM, Facts(modality="MR"))
    chain = read_chain([{"step": "match", "to": "ct"}], PREPARATION, where="card [[prepare]]", inputs=("ct", "mr"))
    prepared = prepare(Inputs({"ct": volume(), "mr": other}, "ct"), chain)
    scores = np.random.default_rng(3).normal(size=(4, *SHAPE)).astype(np.float32)

    assert np.array_equal(restore_argmax(prepared, scores, "mr"), argmax_of_all(prepared, scores, "mr"))


def test_match_brings_an_input_onto_the_grid_of_another() -> None:
    """Another orientation, spacing and place: the spot lies where the other input has it."""
    other = affine(rotated(-40, 1), (2.0, 2.0, 2.0))
    other[:3, 3] += spot(OBLIQUE) - spot(other, (30, 30, 30))
    moving = Volume(blob(other, spot(OBLIQUE), (30, 30, 30)), other, (2.0, 2.0, 2.0))
    chain = read_chain(
        [{"step": "match", "to": "ct", "value": 0.0}], PREPARATION, where="card [[prepare]]", inputs=("ct", "pet")
    )
    prepared = prepare(Inputs({"ct": volume(), "pet": moving}, "ct"), chain)
    moved = prepared.placed["pet"].volume

    assert prepared.stacked().shape == (2, *SHAPE)
    assert np.allclose(moved.affine_lps, OBLIQUE)
    assert np.linalg.norm(centroid_mm(moved.array, OBLIQUE) - spot(OBLIQUE)) < 0.6
    assert np.array_equal(prepared.placed["ct"].array, volume().array)
    assert restore_probability(prepared, moved.array, of="pet").shape == (30, 30, 30)


def test_a_radiograph_is_resampled_by_its_calibration_or_its_shape_and_goes_back() -> None:
    """Without place in a patient, only what needs one is refused."""
    calibrated = Volume(np.ones((1, 50, 60), np.int16), None, (1.0, 0.2, 0.2))
    plain = Volume(np.ones((1, 50, 60), np.int16), None, None)
    made = run(calibrated, ("resample", {"spacing_mm": (0, 0.4, 0.4)}))

    assert made.placed["ct"].shape == (1, 25, 30)
    assert restore_mask(made, np.ones((1, 25, 30))).all()
    assert run(plain, ("resize", {"shape": (0, 224, 224)})).placed["ct"].shape == (1, 224, 224)
    with pytest.raises(ModelRefused, match="calibration"):
        run(plain, ("resample", {"spacing_mm": (0, 0.4, 0.4)}))
    with pytest.raises(ModelRefused, match="position and orientation"):
        run(calibrated, ("orient", {"axes": "RAS"}))


@pytest.mark.parametrize(
    ("name", "given", "why"),
    [
        ("crop", {"before": (26, 0, 0), "after": (4, 0, 0)}, "smaller"),
        ("crop-to-foreground", {"above": 1e6}, "nothing"),
        ("crop-to-body", {"above_hu": 1e6}, "nothing"),
        ("centre", {"shape": (0, 0, 0), "above": 1e6}, "nothing"),
    ],
)
def test_images_that_a_step_cannot_take_are_refused(name: str, given: dict[str, object], why: str) -> None:
    with pytest.raises(ModelRefused, match=why):
        run(volume(), (name, given))


def test_a_result_on_another_grid_is_a_fault_of_the_model() -> None:
    prepared = run(volume(), ("resample", {"spacing_mm": (2.0, 2.0, 2.0)}))

    with pytest.raises(ModelFailed, match="does not lie on the prepared grid"):
        restore_mask(prepared, np.ones(SHAPE))


def test_values_that_are_no_numbers_and_places_that_are_none_are_refused() -> None:
    flat = OBLIQUE.copy()
    flat[:3, 0] = 0
    broken = volume().array.copy()
    broken[0, 0, 0] = np.nan

    with pytest.raises(ModelRefused, match="not numbers"):
        run(Volume(broken, OBLIQUE, SPACING_MM))
    with pytest.raises(ModelRefused, match="do not describe a volume"):
        run(Volume(volume().array, flat, SPACING_MM))


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"step": "resampel"}, r"card.toml \[\[prepare\]\] 1: no step is called 'resampel'; did you mean 'resample'"),
        ({"step": "resample"}, r"\(resample\): spacing_mm is missing; give three numbers \(at least 0\) mm"),
        ({"step": "resample", "spacing_mm": [1, 1]}, "spacing_mm must be three numbers"),
        ({"step": "resample", "spacing_mm": [1, 1, -1]}, r"at least 0.*found \[1, 1, -1\]"),
        ({"step": "resample", "spacing_mm": [1, 1, float("nan")]}, "spacing_mm must be"),
        ({"step": "resample", "spacing_mm": [1, 1, 1], "interpolatoin": "linear"}, "did you mean 'interpolation'"),
        ({"step": "resample", "spacing_mm": [1, 1, 1], "interpolation": "cubic"}, '"nearest" or "linear" or "bspline"'),
        ({"step": "fit", "shape": [1, 1, 1.5]}, "three whole numbers"),
        ({"step": "fit", "shape": [1, 1, 1], "input": "pat"}, "no input is called 'pat'; did you mean 'pet'"),
        ({"step": "match", "to": "mr"}, "no input is called 'mr'"),
        ({"step": "match", "to": "pet", "input": ["pet"]}, "is the input itself"),
        ({"step": "match", "to": "pet"}, "would move the reference 'ct'"),
        ({"step": "window", "low": 400, "high": -1000}, r"\(window\): high = -1000 must be more than low = 400"),
        ({"step": "clip", "low": 5, "high": 5}, "high = 5 must be more than low = 5"),
        ({"step": "percentile", "low": 99.9}, "high = 99.5 must be more than low = 99.9"),
        ({"step": "canny", "sigma_mm": 1, "low": 3, "high": 2}, "high = 2 must be at least low = 3"),
        ("resample", "must be a table"),
    ],
)
def test_a_card_is_told_what_is_wrong_and_where(row: object, message: str) -> None:
    with pytest.raises(CardInvalid, match=message):
        read_chain([row], PREPARATION, where="card.toml [[prepare]]", inputs=("ct", "pet"), reference="ct")


def test_the_table_does_not_belong_to_the_body() -> None:
    """A body of 60 x 80 voxels that lies on a table, two voxels thin and as wide as the image."""
    hu = np.full((40, 200, 200), -1000, np.int16)
    hu[:, 60:120, 50:130] = 40
    hu[:, 120:122, :] = 40
    made = run(Volume(hu, affine(), SPACING_MM), ("crop-to-body", {})).placed["ct"]
    first = (made.to_source @ [0, 0, 0, 1])[:3]

    assert made.shape[0] == 40
    assert np.abs(first[1:] - [60, 50]).max() <= 2
    assert np.abs(np.array(made.shape[1:]) - [60, 80]).max() <= 4
