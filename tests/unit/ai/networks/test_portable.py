"""ONNX files run on the processor as the card says, and those that reach beyond their own file are not opened."""

from pathlib import Path

import numpy as np
import pytest
from onnx import helper

from ai.errors import CardInvalid, ModelFailed
from ai.networks import portable
from ai.networks.model import NetworkModel
from ai.networks.portable import open_portable
from tests.makers.networks import write_model
from tests.makers.portable import HOSTILE, bright, model
from tests.unit.ai.networks.test_model import image, predict, volume

LINES = 'kind = "onnx"\nfinds = "segments"\n[network.window]\nsize = [16, 16, 16]\noverlap = 0.5\nbatch = 3\n'


@pytest.mark.parametrize("batch", [1, "batch"])
def test_onnx_finds_what_is_bright(tmp_path: Path, batch: int | str) -> None:
    found = predict(NetworkModel(write_model(tmp_path / "m", bright(batch), LINES, weights="m.onnx")), volume(image()))

    np.testing.assert_array_equal(found.segments[0].mask, image() > 0.5)


@pytest.mark.parametrize("name", HOSTILE)
def test_what_reaches_beyond_the_file_is_not_opened(name: str) -> None:
    make, words = HOSTILE[name]

    with pytest.raises(CardInvalid, match=words):
        open_portable(make().SerializeToString(), name, 1)


@pytest.mark.parametrize("content", [b"", b"\0" * 64, b"not onnx at all", bright()[:60]])
def test_what_is_no_onnx_says_so(content: bytes) -> None:
    with pytest.raises(CardInvalid, match=r"no whole ONNX file|does not open it"):
        open_portable(content, "m.onnx", 1)


def test_more_operations_than_any_network_has_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(portable, "MOST_NODES", 2)

    with pytest.raises(CardInvalid, match="more than 2 operations"):
        open_portable(bright(), "m.onnx", 1)


def test_a_network_of_two_inputs_is_refused() -> None:
    made = model([helper.make_node("Neg", ["image"], ["said"])])
    made.graph.input.append(helper.make_tensor_value_info("other", 1, [1]))

    with pytest.raises(CardInvalid, match="takes one tensor"):
        open_portable(made.SerializeToString(), "m.onnx", 1)


def test_an_image_that_does_not_fit_is_a_failure_with_words(tmp_path: Path) -> None:
    nodes = [helper.make_node("MatMul", ["image", "image"], ["said"])]
    folder = write_model(tmp_path / "m", model(nodes).SerializeToString(), 'kind = "onnx"\nfinds = "segments"')

    with pytest.raises(ModelFailed, match="the network failed"):
        predict(NetworkModel(folder), volume(image()))
