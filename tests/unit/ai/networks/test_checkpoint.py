"""Published pickles give their weights and nothing else: what they name is never imported, called or run."""

import io
import pickle
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from ai.errors import CardInvalid
from ai.networks.checkpoint import tensors_of
from ai.networks.model import NetworkModel
from ai.volume import Inputs, Volume
from tests.makers.networks import write_model
from tests.makers.xrayvision import densenet, published
from tests.unit.ai.networks.test_model import CLASSES, predict

CHAIN = """
[[prepare]]
step = "crop-to-square"
[[prepare]]
step = "resize"
shape = [0, 224, 224]
[[prepare]]
step = "min-max"
out_low = -1024
out_high = 1024
"""


class Touch:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return Path.touch, (self.path,)


def saved(content: object, *, zipped: bool = True) -> bytes:
    made = io.BytesIO()
    torch.save(content, made, _use_new_zipfile_serialization=zipped)
    return made.getvalue()


@pytest.mark.parametrize("before_1_6", [True, False])
def test_a_torchxrayvision_network_says_what_it_says_there(tmp_path: Path, before_1_6: bool) -> None:
    network = densenet(2)
    lines = 'kind = "torchxrayvision"\nfinds = "classifications"\nactivation = "sigmoid"\ndimensions = 2\n'
    findings = CLASSES.format("one") + CLASSES.format("two")
    content = published(network, before_1_6=before_1_6)
    folder = write_model(tmp_path / "xray", content, lines, findings=findings, modality="DX", chains=CHAIN)
    image = np.random.default_rng(0).integers(0, 4096, (1, 300, 260)).astype(np.float32)
    image[0, 20:280] *= np.linspace(0, 1, 260)

    found = predict(NetworkModel(folder), Inputs({"image": Volume(image, None, None)}, "image"))

    square = torch.from_numpy(image[:, 20:280])[None]
    square = torch.nn.functional.interpolate(square, (224, 224), mode="bilinear", align_corners=False)
    square = (square - square.min()) / (square.max() - square.min()) * 2048 - 1024
    with torch.inference_mode():
        expected = network(square)[0].sigmoid()
    assert [one.probability for one in found.classifications] == pytest.approx(expected.tolist(), abs=1e-3)
    assert "torchxrayvision" not in sys.modules


def test_a_trainers_state_beside_the_weights_is_left() -> None:
    state = {"log": [np.float64(1), np.arange(3)], "init_args": {"a": 1}, "network_weights": {"w": torch.ones(2)}}

    assert {name: one.tolist() for name, one in tensors_of(saved(state), "m").items()} == {"w": [1, 1]}


@pytest.mark.parametrize("zipped", [True, False])
def test_a_pickle_that_calls_is_refused_and_calls_nothing(tmp_path: Path, zipped: bool) -> None:
    evil = saved({"network_weights": {"w": torch.ones(2)}, "x": Touch(tmp_path / "ran")}, zipped=zipped)

    with pytest.raises(CardInvalid, match="holds more than a network's weights") as refused:
        tensors_of(evil, "m.pth")
    assert not (tmp_path / "ran").exists()
    assert "weights_only" not in str(refused.value)


@pytest.mark.parametrize(
    "content", [b"", b"\0" * 100, b"PK\3\4", pickle.dumps(1), pickle.dumps({"a": 1}) * 6, saved({"w": 1})]
)
def test_what_holds_no_weights_says_so(content: bytes) -> None:
    with pytest.raises(CardInvalid, match=r"m\.pth: holds"):
        tensors_of(content, "m.pth")


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    content = published(densenet(3), before_1_6=True)
    lines = 'kind = "torchxrayvision"\nfinds = "classifications"\ndimensions = 2\n'
    folder = write_model(tmp_path / "xray", content, lines, findings=CLASSES.format("one"), modality="DX", chains="")

    with pytest.raises(CardInvalid, match="not those of the network"):
        predict(NetworkModel(folder), Inputs({"image": Volume(np.zeros((1, 64, 64)), None, None)}, "image"))
