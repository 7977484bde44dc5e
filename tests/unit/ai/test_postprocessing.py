"""Steps of post-processing: what they clean, and that the cleaned labels go back to the images' own grid."""

from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ai.card import read_card
from ai.errors import CardInvalid, ModelFailed, ModelRefused
from ai.postprocessing.finishing import check_channels, finish, segments_of
from ai.postprocessing.table import FINISHING
from ai.preparation.pipeline import Prepared, prepare
from ai.preparation.table import PREPARATION
from ai.step import Chain, choose, read_chain
from ai.volume import Inputs, Volume

SHAPE = (12, 30, 40)
AFFINE = np.array([[0.0, 0, 1, -10], [0, 1, 0, -5], [2, 0, 0, 7], [0, 0, 0, 1]])
CARD = """
name = "two-things"
version = "1"
vendor = "test"
title = "Two things"
intended_use = "none"
not_validated_for = []
licence = "none"
memory_mb = 1
timeout_s = 1
reference = "ct"
[[input]]
name = "ct"
modality = "CT"
orientations = ["axial"]
"""
SEGMENT = """
[[segment]]
key = "{0}"
label = "{0}"
category = ["91723000", "SCT", "Anatomical Structure"]
type = ["39607008", "SCT", "Lung"]
site = ["39607008", "SCT", "Lung"]
colour = "#4fa8e8"
"""


def prepared(*steps: tuple[str, dict[str, object]]) -> Prepared:
    volume = Volume(np.zeros(SHAPE, np.int16), AFFINE, (2.0, 1.0, 1.0))
    return prepare(Inputs({"ct": volume}, "ct"), tuple(choose(PREPARATION, name, **given) for name, given in steps))


def chain(*rows: dict[str, object]) -> Chain:
    return read_chain(rows, FINISHING, where="card [[finish]]")


def block(*sides: tuple[int, int]) -> np.ndarray:
    made = np.zeros(SHAPE, dtype=bool)
    made[tuple(slice(*side) for side in sides)] = True
    return made


BIG, SMALL, TINY = block((2, 9), (4, 14), (4, 14)), block((2, 5), (20, 24), (4, 8)), block((8, 9), (26, 28), (30, 31))
SPECKLED = BIG | SMALL | TINY


def only(layers: np.ndarray) -> np.ndarray:
    assert layers.shape == (1, *SHAPE)
    return layers[0] == 1


def test_the_largest_piece_is_kept_by_count() -> None:
    labels = SPECKLED.astype(np.uint8)

    assert np.array_equal(only(finish(prepared(), labels, chain({"step": "largest-component"}))), BIG)
    two = only(finish(prepared(), labels, chain({"step": "largest-component", "count": 2})))
    assert np.array_equal(two, BIG | SMALL)


@pytest.mark.parametrize(
    ("least_ml", "left"),
    [(0.0, SPECKLED), (0.004, SPECKLED), (0.0041, BIG | SMALL), (0.096, BIG | SMALL), (0.097, BIG)],
)
def test_pieces_below_a_size_are_dropped(least_ml: float, left: np.ndarray) -> None:
    """Voxels of 2 mm³: TINY is 2 of them, 0.004 mL, and SMALL 48, 0.096 mL."""
    found = finish(prepared(), SPECKLED.astype(np.uint8), chain({"step": "minimum-size", "least_ml": least_ml}))

    assert np.array_equal(only(found), left)


def test_holes_are_filled_in_the_volume_or_in_slices_but_never_over_another_label() -> None:
    tunnel, cave = block((2, 9), (8, 9), (8, 9)), block((4, 6), (10, 12), (10, 12))
    other = block((4, 5), (10, 11), (10, 11))
    labels = (BIG & ~tunnel & ~cave).astype(np.uint8)
    labels[other] = 2
    volume = finish(prepared(), labels.copy(), chain({"step": "fill-holes", "labels": [1]}))[0]
    slices = finish(prepared(), labels.copy(), chain({"step": "fill-holes", "labels": [1], "within": "slices"}))[0]

    assert np.array_equal(volume == 1, BIG & ~tunnel & ~other)
    assert np.array_equal(slices == 1, BIG & ~other)
    assert np.array_equal(slices == 2, other)


def test_smoothing_takes_off_a_spike_and_draws_a_ball_in_by_its_curvature() -> None:
    """A half-space is its own blur from 0.5 on, a ball loses sigma²/r of its radius, a spike one voxel thin is gone."""
    half = block((0, 12), (0, 15), (0, 40))
    spike = block((5, 6), (15, 20), (20, 21))
    found = finish(prepared(), (half | spike).astype(np.uint8), chain({"step": "smooth", "sigma_mm": 2.0}))
    ball = np.indices(SHAPE) * np.array([2, 1, 1]).reshape(3, 1, 1, 1) - np.array([12, 15, 20]).reshape(3, 1, 1, 1)
    ball = (ball**2).sum(axis=0) < 9**2
    smoothed = only(finish(prepared(), ball.astype(np.uint8), chain({"step": "smooth", "sigma_mm": 1.5})))

    assert np.array_equal(only(found), half)
    assert abs(smoothed.sum() / ball.sum() - (1 - 1.5**2 / 9**2) ** 3) < 0.02


def test_merged_labels_are_one() -> None:
    labels = np.zeros(SHAPE, np.uint8)
    labels[BIG], labels[SMALL], labels[TINY] = 3, 1, 2
    found = finish(prepared(), labels, chain({"step": "merge", "labels": [3, 2], "into": 1}))

    assert np.array_equal(found[0], SPECKLED.astype(np.uint8))


def test_argmax_decides_after_interpolation_and_keeps_what_was_cleaned() -> None:
    """On a grid half as fine: the specks are gone, the big block has its corners back within Dice 0.98."""
    ready = prepared(("orient", {"axes": "RAS"}), ("resample", {"spacing_mm": (2.0, 2.0, 2.0)}))
    shape = ready.placed["ct"].shape
    smooth = _soft(ready, BIG), _soft(ready, SMALL)
    scores = np.stack([1 - smooth[0] - smooth[1], smooth[0], smooth[1]]).astype(np.float32)
    speck = scores.copy()
    speck[:, 1, 1, 1] = 0, 5, 0
    plain = finish(ready, scores.copy(), chain({"step": "argmax"}))
    cleaned = finish(ready, speck, chain({"step": "argmax"}, {"step": "largest-component"}))

    assert shape != SHAPE
    assert np.array_equal(cleaned, plain)
    assert _dice(plain[0] == 1, BIG) >= 0.98


def test_thresholded_regions_may_overlap_and_are_cleaned_each_for_itself() -> None:
    scores = np.stack([BIG | TINY, BIG | SMALL]).astype(np.float32) * 0.7
    found = finish(
        prepared(), scores.copy(), chain({"step": "threshold"}, {"step": "largest-component", "labels": [1]})
    )
    higher = finish(prepared(), scores.copy(), chain({"step": "threshold", "at_least": 0.8}))
    merged = finish(
        prepared(), scores.copy(), chain({"step": "threshold"}, {"step": "merge", "labels": [2], "into": 1})
    )

    assert found.shape == (2, *SHAPE)
    assert np.array_equal(found[0], BIG.astype(np.uint8))
    assert np.array_equal(found[1], (BIG | SMALL) * np.uint8(2))
    assert not higher.any()
    assert np.array_equal(merged, [SPECKLED.astype(np.uint8)])


@pytest.mark.parametrize("factor", [-4.0, 4.0])
def test_a_threshold_of_what_is_no_probability_decides_nothing(factor: float) -> None:
    """Of scores before their activation, 0.5 finds less, or nothing: that would read as a negative."""
    ready = prepared()
    scores = np.full((1, *ready.reference_volume.array.shape), factor, np.float32)

    with pytest.raises(ModelFailed, match="set the activation"):
        finish(ready, scores, chain({"step": "threshold"}))


def test_labels_are_the_cards_segments_in_their_order(tmp_path: Path) -> None:
    file = tmp_path / "card.toml"
    file.write_text(CARD + SEGMENT.format("first") + SEGMENT.format("second") + '[[finish]]\nstep = "argmax"\n')
    card = read_card(file)
    labels = np.zeros((1, *SHAPE), np.uint8)
    labels[0][SMALL] = 2
    first, second = segments_of(card, labels)

    assert [one.step.name for one in card.finish] == ["argmax"]
    assert (first.key, first.mask.any(), second.key) == ("first", False, "second")
    assert np.array_equal(second.mask, SMALL)
    with pytest.raises(ModelFailed, match="label 3"):
        segments_of(card, labels + 1)


@pytest.mark.parametrize(
    ("finish_", "channels", "fits"),
    [
        ([], 3, True),
        ([], 2, False),
        ([], 4, False),
        ([{"step": "merge", "labels": [3], "into": 1}], 4, True),
        ([{"step": "merge", "labels": [2], "into": 1}], 4, False),
    ],
)
def test_each_segment_has_a_channel_and_each_label_a_segment(
    tmp_path: Path, finish_: list[dict[str, object]], channels: int, fits: bool
) -> None:
    file = tmp_path / "card.toml"
    file.write_text(CARD + SEGMENT.format("first") + SEGMENT.format("second"))
    for decision, scores in (("argmax", channels), ("threshold", channels - 1)):
        card = replace(read_card(file), finish=chain({"step": decision}, *finish_))
        with nullcontext() if fits else pytest.raises(ModelFailed, match="one \\[\\[segment\\]\\] for each label"):
            check_channels(card, np.zeros((scores, *SHAPE), np.float32))


def test_chains_that_cannot_work_are_refused_with_the_mend(tmp_path: Path) -> None:
    file = tmp_path / "card.toml"
    file.write_text(CARD + '[[finish]]\nstep = "smooth"\nsigma_mm = 1\n[[finish]]\nstep = "argmax"\n')
    labels = SPECKLED.astype(np.uint8)

    with pytest.raises(CardInvalid, match=r"card.toml \[\[finish\]\] 2 \(argmax\): .*first step"):
        read_card(file)
    with pytest.raises(ModelFailed, match="add `argmax`"):
        finish(prepared(), np.zeros((2, *SHAPE), np.float32), ())
    with pytest.raises(ModelFailed, match="neither scores"):
        finish(prepared(), labels, chain({"step": "argmax"}))
    with pytest.raises(ModelFailed, match="names label 7"):
        finish(prepared(), labels, chain({"step": "largest-component", "labels": [7]}))
    with pytest.raises(ModelFailed, match="no region of its own"):
        finish(prepared(), labels, chain({"step": "merge", "labels": [1], "into": 1}))


def test_sizes_in_mm_are_refused_where_nothing_is_calibrated() -> None:
    volume = Volume(np.zeros(SHAPE, np.int16), None, None)
    plain = prepare(Inputs({"ct": volume}, "ct"), ())

    with pytest.raises(ModelRefused, match="calibration"):
        finish(plain, SPECKLED.astype(np.uint8), chain({"step": "minimum-size", "least_ml": 1}))


def _soft(ready: Prepared, region: np.ndarray) -> np.ndarray:
    """The share of a region in each voxel of the prepared grid, from its corners in the source."""
    placed = ready.placed["ct"]
    made = np.zeros(placed.shape)
    offsets = (np.indices((6, 6, 6)).reshape(3, -1).T + 0.5) / 6 - 0.5
    index = np.indices(placed.shape).reshape(3, -1)
    for offset in offsets:
        place = placed.to_source[:3, :3] @ (index + offset[:, None]) + placed.to_source[:3, 3:]
        near = np.rint(place).astype(int)
        inside = ((near >= 0) & (near < np.array(SHAPE)[:, None])).all(axis=0)
        made.reshape(-1)[inside] += region[tuple(near[:, inside])]
    return made / len(offsets)


def _dice(a: np.ndarray, b: np.ndarray) -> float:
    return 2 * np.count_nonzero(a & b) / (np.count_nonzero(a) + np.count_nonzero(b))
