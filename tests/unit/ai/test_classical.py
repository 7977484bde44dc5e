"""A model that is a card alone, and check_model on models that keep and break each promise."""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from ai.contract import Predict
from ai.device import Device
from ai.errors import CardInvalid, ModelRefused
from ai.findings import Findings, Segment
from ai.models.classical import ClassicalModel
from ai.registry import find_model
from ai.testing.apart import check_apart
from ai.testing.checking import check_model
from ai.testing.samples import noise_inputs, views
from ai.volume import Facts, Inputs, Volume
from tests.makers.cards import BODY, CHAIN, classical_card

SPACING_MM = (4.0, 3.0, 3.0)


def chest() -> Inputs:
    """An oblique stack of air with a ball of tissue in it, a smaller one apart from it, and some noise."""
    turn = np.radians(20)
    affine = np.array([[0, 0, 3.0, -150], [0, 3 * np.cos(turn), 0, -140], [4.0, 3 * np.sin(turn), 0, 20], [0, 0, 0, 1]])
    index = np.indices((40, 90, 100)).reshape(3, -1)
    places = (affine[:3, :3] @ index + affine[:3, 3:]).T.reshape(40, 90, 100, 3)
    hu = np.full((40, 90, 100), -1000.0) + np.random.default_rng(2).normal(0, 20, (40, 90, 100))
    for middle, radius in (((0.0, -10.0, 140.0), 50), ((95.0, 20.0, 150.0), 15)):
        hu[((places - middle) ** 2).sum(axis=-1) < radius**2] += 1040
    return Inputs({"ct": Volume(hu.astype(np.int16), affine, SPACING_MM, Facts(modality="CT"))}, "ct")


def truth(inputs: Inputs) -> np.ndarray:
    volume = inputs.reference_volume
    index = np.indices(volume.array.shape).reshape(3, -1)
    places = (volume.affine_lps[:3, :3] @ index + volume.affine_lps[:3, 3:]).T.reshape(*volume.array.shape, 3)
    return ((places - (0.0, -10.0, 140.0)) ** 2).sum(axis=-1) < 50**2


def test_a_card_alone_outlines_what_it_says(tmp_path: Path) -> None:
    classical_card(tmp_path)
    model = find_model("body", tmp_path)
    with model.open(Device()) as predict:
        mask = predict(chest()).segment("body").mask
        with pytest.raises(ModelRefused, match="input ct: the images are MR, not CT"):
            predict(Inputs({"ct": replace(chest().reference_volume, facts=Facts(modality="MR"))}, "ct"))

    expected = truth(chest())
    assert 2 * np.count_nonzero(mask & expected) / (mask.sum() + expected.sum()) > 0.98
    assert len(model.card.digest) == 64


@pytest.mark.parametrize(
    ("chain", "card", "words"),
    [
        ("", BODY, "must segment"),
        ('[[prepare]]\nstep = "gaussian"\nsigma_mm = 1\n', BODY, "must segment"),
        ('[[prepare]]\nstep = "otsu"\n[[prepare]]\nstep = "otsu"\n', BODY, "only the last"),
        (CHAIN + '[[finish]]\nstep = "argmax"\n', BODY, "first step"),
        ('[[prepare]]\nstep = "otsu"\n[[finish]]\nstep = "argmax"\n', BODY, "no scores to decide from"),
        (CHAIN, BODY.split("[[segment]]")[0], "declares no"),
        (CHAIN, BODY.replace('"classical"', '"clasical"'), "kind must be one of code, classical"),
        (CHAIN, BODY.replace('"Body"', '"Body "'), "without blanks around it"),
    ],
)
def test_a_card_that_cannot_segment_says_what_to_mend(tmp_path: Path, chain: str, card: str, words: str) -> None:
    with pytest.raises(CardInvalid, match=words):
        ClassicalModel(classical_card(tmp_path, chain, card))


class Made:
    """The classical model with a prediction of its own."""

    def __init__(self, file: Path, predict: Callable[[Inputs, Predict], Findings]) -> None:
        self._inner, self._predict = ClassicalModel(file), predict
        self.card = self._inner.card

    @contextmanager
    def open(self, device: Device) -> Iterator[Predict]:
        with self._inner.open(device) as inner:
            yield lambda inputs: self._predict(inputs, inner)


def failed(model: Made | ClassicalModel) -> set[str]:
    return {one.name.split(":")[0].split(" of ")[0] for one in check_model(model, [chest()], Device()) if not one.holds}


def test_a_model_that_keeps_every_promise_passes(tmp_path: Path) -> None:
    verdicts = list(check_model(ClassicalModel(classical_card(tmp_path)), [chest()], Device()))

    assert [one.name for one in verdicts if not one.holds] == []
    assert {"memory", "time", "determinism", "geometry there and back", "place"} < {one.name for one in verdicts}
    assert sum(one.name.startswith("orientation") for one in verdicts) == 4
    assert sum(one.name.startswith("refusal") for one in verdicts) == 3


def careless(inputs: Inputs, _: Predict) -> Findings:
    """The brighter voxels of the first half of the slices, whatever the images are."""
    array = np.nan_to_num(inputs.reference_volume.array)
    mask = array > -250
    mask[len(mask) // 2 :] = False
    return Findings(segments=(Segment("body", mask, "ct"),))


def restless(inputs: Inputs, inner: Predict, calls: list[int] = []) -> Findings:  # noqa: B006  it is to remember
    calls.append(1)
    found = inner(inputs)
    mask = found.segments[0].mask.copy()
    mask[len(calls) % len(mask)] = True
    return Findings(segments=(Segment("body", mask, "ct"),))


def rooted(inputs: Inputs, inner: Predict) -> Findings:
    found = inner(inputs)
    there = inputs.reference_volume.affine_lps[0, 3] > -100
    return found if not there else Findings(segments=(Segment("body", ~found.segments[0].mask, "ct"),))


def astray(inputs: Inputs, inner: Predict) -> Findings:
    return Findings(segments=(Segment("body", inner(inputs).segments[0].mask[1:], "ct"),))


def greedy(inputs: Inputs, inner: Predict) -> Findings:
    held = np.ones(240_000_000 // 8)
    return inner(inputs) if held.any() else Findings()


def faulty(inputs: Inputs, inner: Predict) -> Findings:
    return Findings(segments=(inner(inputs).segments[3],))


@pytest.mark.parametrize(
    ("predict", "expected"),
    [
        (careless, {"refusal", "orientation"}),
        (restless, {"determinism"}),
        (rooted, {"place"}),
        (astray, {"findings"}),
        (greedy, {"memory"}),
    ],
)
def test_each_broken_promise_is_told(
    tmp_path: Path, predict: Callable[[Inputs, Predict], Findings], expected: set[str]
) -> None:
    assert expected <= failed(Made(classical_card(tmp_path), predict)) <= expected | {"orientation"}


def test_a_fault_of_the_models_code_is_told_with_its_place(tmp_path: Path) -> None:
    verdicts = list(check_model(Made(classical_card(tmp_path), faulty), [chest()], Device()))
    line = faulty.__code__.co_firstlineno + 1

    assert [one.seen for one in verdicts if not one.holds] == [
        f"IndexError: tuple index out of range (test_classical.py, line {line}, in faulty)"
    ]


def hanging(inputs: Inputs, inner: Predict) -> Findings:
    inner(inputs)
    return threading.Event().wait()


def aborting(inputs: Inputs, inner: Predict) -> Findings:
    inner(inputs)
    return os.abort()


def made(file: Path, predict: Callable[[Inputs, Predict], Findings]) -> Made:
    return Made(file, predict)


@pytest.mark.parametrize(
    ("predict", "seen"),
    [(hanging, "did not end within 5 s"), (aborting, "ended its process (SIGABRT)")],
)
def test_a_model_that_hangs_or_ends_its_process_gets_a_verdict(
    tmp_path: Path, predict: Callable[[Inputs, Predict], Findings], seen: str
) -> None:
    file = classical_card(tmp_path, CHAIN, BODY.replace("timeout_s = 60", "timeout_s = 5"))
    begun: list[str] = []
    verdicts = list(check_apart(partial(made, file, predict), [chest()], Device(), begun.append))

    assert all(one.holds and one.name.startswith("refusal") for one in verdicts[:-1])
    assert len(verdicts) == 4
    assert verdicts[-1].name == begun[-1] == "findings"
    assert verdicts[-1].seen.startswith(seen)
    assert verdicts[-1].mend


def test_a_chain_that_cuts_the_image_off_is_told(tmp_path: Path) -> None:
    chain = CHAIN.replace('[[prepare]]\nstep = "between"', '[[prepare]]\nstep = "resample"\nspacing_mm = [40, 40, 40]\n'
                          '[[prepare]]\nstep = "between"')  # fmt: skip

    assert "geometry there and back" in failed(ClassicalModel(classical_card(tmp_path, chain)))


def test_noise_for_a_card_keeps_to_its_limits_and_its_views_show_the_same_places(tmp_path: Path) -> None:
    text = BODY.replace("min_slices = 10", "min_slices = 70\nmax_slice_spacing_mm = 2\nmin_field_mm = 350")
    card = ClassicalModel(classical_card(tmp_path, CHAIN, text)).card
    inputs = noise_inputs(card)
    volume = inputs.reference_volume
    bright = np.argwhere(volume.array >= np.percentile(volume.array, 99.9))

    assert volume.array.shape[0] >= 70
    assert volume.spacing_mm[0] <= 2
    assert volume.array.shape[1] * volume.spacing_mm[1] >= 350
    for view in views(inputs, card):
        seen = view.inputs.reference_volume
        there = np.argwhere(seen.array >= np.percentile(volume.array, 99.9))
        assert np.allclose(
            (bright @ volume.affine_lps[:3, :3].T).mean(axis=0) + volume.affine_lps[:3, 3],
            (there @ seen.affine_lps[:3, :3].T).mean(axis=0) + seen.affine_lps[:3, 3],
        )
        assert np.array_equal(view.back(seen.array), volume.array)
