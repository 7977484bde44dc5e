"""Several inputs: places in the patient are compared only where they can be."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ai.errors import ModelRefused
from ai.exchange import load_inputs, save_inputs
from ai.preparation.pipeline import Prepared, prepare
from ai.preparation.table import PREPARATION
from ai.step import read_chain
from ai.volume import Inputs, Volume

SPACING_MM = (3.0, 1.0, 1.0)


def volume(offset_mm: float = 0.0, space: str | None = "A", shape: tuple[int, int, int] = (10, 20, 24)) -> Volume:
    """Axial images, shifted towards the head; something in the middle."""
    affine = np.array([[0, 0, 1.0, -12], [0, 1.0, 0, -10], [3.0, 0, 0, offset_mm], [0, 0, 0, 1]])
    array = np.zeros(shape, np.float32)
    array[3:6, 8:14, 9:16] = 100
    return Volume(array, affine, SPACING_MM, frame_of_reference=space)


MATCH = {"step": "match", "input": "t2", "to": "t1"}


def run(other: Volume, *steps: dict[str, str]) -> Prepared:
    chain = read_chain(list(steps), PREPARATION, where="card", inputs=("t1", "t2"), reference="t1")
    return prepare(Inputs({"t1": volume(), "t2": other}, "t1"), chain)


def test_channels_are_the_same_places_in_the_patient() -> None:
    """Images of one shape at two places would be laid over each other without a word."""
    assert run(volume()).stacked().shape == (2, 10, 20, 24)
    assert run(volume(0.3)).stacked().shape == (2, 10, 20, 24)
    with pytest.raises(ModelRefused, match=r"the inputs t1 and t2 lie up to 6\.0 mm apart"):
        run(volume(6.0)).stacked()
    with pytest.raises(ModelRefused, match="mm apart"):
        run(replace(volume(), affine_lps=volume().affine_lps @ np.diag([1.0, 1.0, 1.1, 1.0]))).stacked()  # type: ignore[operator]
    assert run(volume(6.0), MATCH).stacked().shape == (2, 10, 20, 24)


def test_images_without_a_place_are_channels_by_their_shape() -> None:
    flat = [Volume(np.ones((1, 4, 4), np.float32), None, None) for _ in range(2)]
    assert prepare(Inputs(dict(zip("ab", flat, strict=True)), "a"), ()).stacked().shape == (2, 1, 4, 4)


@pytest.mark.parametrize("steps", [(), (MATCH,)])
def test_places_of_two_frames_of_reference_are_never_compared(steps: tuple[dict[str, str], ...]) -> None:
    with pytest.raises(ModelRefused, match="different frames of reference"):
        run(volume(space="B"), *steps).stacked()
    assert run(volume(space=None), *steps).stacked().shape == (2, 10, 20, 24)


def test_images_of_another_part_of_the_body_match_nothing() -> None:
    """They would be filled with one value, in which a model finds nothing."""
    with pytest.raises(ModelRefused, match="lie elsewhere in the patient"):
        run(volume(200.0), MATCH)


def test_the_space_goes_with_a_volume_to_another_process(tmp_path: Path) -> None:
    save_inputs(Inputs({"ct": volume(space="1.2.3")}, "ct"), tmp_path)
    assert load_inputs(tmp_path).volumes["ct"].frame_of_reference == "1.2.3"
