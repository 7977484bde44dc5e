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


ROUND = np.array([[0.0, 0.0, 0.0], [0.0, 0.0, 3.0], [0.0, 2.0, 3.0]])
PLACES: dict[str, tuple[object, object, str]] = {
    "a text for a shape": ("box", ROUND[:2], r"shape is one of Shape, not 'box'"),
    "a list of points": (Shape.CONTOUR, ROUND.tolist(), "plain array of numpy, not a list"),
    "hidden points": (Shape.CONTOUR, np.ma.masked_less(ROUND, 1), "plain array of numpy, not a MaskedArray"),
    "points of objects": (Shape.CONTOUR, ROUND.astype(object), "points are finite numbers"),
    "complex points": (Shape.CONTOUR, ROUND * 1j, "points are finite numbers"),
    "no number": (Shape.CONTOUR, ROUND * np.nan, "points are finite numbers"),
    "one place": (Shape.CONTOUR, np.ones((5, 3)), "a contour goes round something; its 5 points"),
    "a line": (Shape.CONTOUR, np.array([[0, 0.1, 0.2], [0, 0.3, 0.6], [0, 0.7, 1.4]]), "its 3 points go round nothing"),
    "there and back": (Shape.CONTOUR, ROUND[[0, 1, 2, 1]], "a contour goes round something"),
    "a bow": (Shape.CONTOUR, np.array([[0, 0, 0], [0, 2, 2], [0, 2, 0], [0, 0, 2.0]]), "a contour does not cross"),
    "a loop": (
        Shape.CONTOUR,
        np.array([[0, 0, 0], [0, 0, 9], [0, 9, 9], [0, 9, 4], [0, -3, 4], [0, -3, 0.0]]),
        "a contour does not cross itself: line 1 and line 4 of it do",
    ),
    "too many": (Shape.CONTOUR, np.zeros((4001, 3)), "4001 points of a contour are more than 4000"),
}  # fmt: skip


@pytest.mark.parametrize("what", PLACES)
def test_a_place_that_is_none_is_refused_where_the_model_says_it(what: str) -> None:
    """Each was taken, and failed in the encoding of the results, or was drawn as something else."""
    shape, points, words = PLACES[what]

    with pytest.raises((TypeError, ValueError), match=f"detection 'spot': .*{words}"):
        Detection("spot", shape, points, "image")  # type: ignore[arg-type]


def test_a_contour_may_touch_itself_and_end_where_it_began() -> None:
    """So are those that go out along a branch of one pixel and back, and those that a program has closed."""
    branch = np.array([[0, 0, 0], [0, 0, 3], [0, 0, 6], [0, 0, 3], [0, 3, 3], [0, 3, 0], [0, 0, 0]])

    assert Detection("spot", Shape.CONTOUR, branch, "image").points.dtype == np.float64
    for angle in np.linspace(0, 2, 9):  # where numbers are rounded, it seems to cross itself by a hair
        turned = branch[[0, 2, 3, 4, 5, 6], 1:] @ [[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]]
        Detection("spot", Shape.CONTOUR, np.insert(turned * 0.1, 0, 0, axis=1), "image")


BESIDE = {
    "a row": [[0.0, 3.0, 1.0]],
    "before the first column": [[0.0, 1.0, -0.6]],
    "a slice": [[1.6, 1.0, 1.0]],
}


@pytest.mark.parametrize("what", BESIDE)
def test_what_is_found_beside_the_images_is_told_of_the_model(card: ModelCard, what: str) -> None:
    inputs = Inputs({"image": Volume(np.zeros(SHAPE), None, None)}, "image")
    found = Findings(detections=(Detection("spot", Shape.POINT, np.array(BESIDE[what]), "image"),))

    with pytest.raises(ModelFailed, match=r"detection 'spot' leaves input 'image', which has 2 x 3 x 4 "):
        check_findings(found, Told(card, lambda _inputs: found), inputs)


def test_more_is_found_than_anyone_reads(card: ModelCard) -> None:
    """A report of 3000 detections took minutes, and nobody goes through it."""
    inputs = Inputs({"image": Volume(np.zeros(SHAPE), None, None)}, "image")
    found = Findings(detections=spot(None).detections * 1001)

    with pytest.raises(ModelFailed, match=r"returned 1001 detections, more than 1000.* threshold"):
        check_findings(found, Told(card, lambda _inputs: found), inputs)
