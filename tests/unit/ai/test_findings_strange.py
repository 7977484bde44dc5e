"""Findings as careless code returns them: taken for what they are, or refused with words, never saved as another."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from ai.agreement import check_findings
from ai.card import read_card
from ai.contract import ModelCard
from ai.errors import ModelFailed
from ai.exchange import load_findings, save_findings
from ai.findings import Classification, Detection, Findings, Map, Measurement, Segment, Shape
from ai.volume import Inputs, Volume
from node.results.wording import is_negative
from tests.makers.models import Told
from tests.makers.networks import SEGMENT, write_bright
from tests.unit.ai.test_cards import MORE

SHAPE = (2, 3, 4)


class Hiding(np.ndarray):
    """Says of itself that it is empty."""

    def any(self, *_given: object, **_named: object) -> bool:  # type: ignore[override]
        return False


def mask() -> np.ndarray:
    return np.ones(SHAPE, np.bool_)


def spot(score: object) -> Findings:
    return Findings(detections=(Detection("spot", Shape.POINT, np.zeros((1, 3)), "image", score),))  # type: ignore[arg-type]


@pytest.fixture
def card(tmp_path: Path) -> ModelCard:
    findings = SEGMENT + MORE.partition("[[measure]]")[0]
    return read_card(write_bright(tmp_path / "bright", findings=findings) / "card.toml")


@pytest.mark.parametrize("kind", [float, np.float32, np.float64, np.array, torch.tensor], ids=str)
def test_numbers_of_other_libraries_are_saved_as_numbers(tmp_path: Path, kind: Callable[[float], float]) -> None:
    found = Findings(
        measurements=(Measurement("size", kind(0.5), ["bright"]),),  # type: ignore[arg-type]
        classifications=(Classification("nodule", kind(0.5)),),
        detections=spot(kind(0.5)).detections,
    )
    save_findings(found, tmp_path)

    again = load_findings(tmp_path)
    assert again.measurements == (Measurement("size", 0.5, ("bright",)),)
    assert again.classifications == (Classification("nodule", 0.5),)
    assert again.detections[0].score == 0.5


@pytest.mark.parametrize("value", ["0.5", 0.5 + 1j, None, 10**400, np.array([0.5]), np.array(["a", "b"])], ids=repr)
def test_what_is_not_one_number_is_refused_with_its_key(value: object) -> None:
    for make in (
        lambda: Measurement("size", value),  # type: ignore[arg-type]
        lambda: Classification("nodule", value),  # type: ignore[arg-type]
    ):
        with pytest.raises(TypeError, match=r"(size|nodule)' is .* and not one number"):
            make()


TWICE: dict[str, Callable[[], Findings]] = {
    "segment 'bright'": lambda: Findings(
        segments=(Segment("bright", mask(), "image"), Segment("bright", ~mask(), "image"))
    ),
    "classification 'nodule'": lambda: Findings(
        classifications=(Classification("nodule", 0.1), Classification("nodule", 0.9))
    ),
    "map 'why'": lambda: Findings(maps=(Map("why", np.zeros(SHAPE), "image"), Map("why", np.ones(SHAPE), "image"))),
}


@pytest.mark.parametrize("what", TWICE)
def test_what_is_found_twice_under_one_key_is_no_result(card: ModelCard, what: str) -> None:
    """Of two regions one was measured and both were drawn; of two answers one was present and one absent."""
    inputs = Inputs({"image": Volume(np.zeros(SHAPE), None, None)}, "image")

    with pytest.raises(ModelFailed, match=f"returned {what} 2 times"):
        check_findings(TWICE[what](), Told(card, lambda _inputs: Findings()), inputs)


def test_a_mask_is_judged_by_its_voxels_not_by_what_its_class_says() -> None:
    assert Segment("bright", mask().view(Hiding), "image").mask.any()


@pytest.mark.parametrize(
    ("given", "kept"),
    [("a\x1b[2Jb\x00", "a [2Jb "), ("a\nb\r\tc", "a b  c"), ("no \u202enodule", "no  nodule"), ("\ud800", " ")],
    ids=repr,
)
def test_a_summary_holds_what_a_text_can_hold(given: str, kept: str) -> None:
    assert Findings(summary=(given, "Größe: 3 mm, عادي")).summary == (kept, "Größe: 3 mm, عادي")
    json.dumps(kept).encode()


@pytest.mark.parametrize(
    "summary", [(1,), (None,), ("x" * 1001,), ("x",) * 501], ids=["number", "none", "long", "many"]
)
def test_a_summary_that_no_report_can_hold_is_refused(summary: tuple[str, ...]) -> None:
    with pytest.raises((TypeError, ValueError), match="summary"):
        Findings(summary=summary)


def test_a_region_is_named_by_a_tuple_of_keys() -> None:
    with pytest.raises(TypeError, match="not the text 'bright'"):
        Measurement("size", 1.0, "bright")  # type: ignore[arg-type]


def test_what_a_model_does_not_speak_of_is_not_denied(card: ModelCard) -> None:
    """A destination that wants no negatives would never hear of the study."""
    assert not is_negative(Findings(), card)
    assert is_negative(Findings(classifications=(Classification("nodule", 0.2),)), card)
    assert not is_negative(Findings(classifications=(Classification("nodule", 0.7),)), card)
