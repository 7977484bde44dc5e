"""The same input gives the same bits, whatever another model of the process has set in torch meanwhile."""

from pathlib import Path

import numpy as np
import pytest
import torch

from ai.device import Device
from ai.networks.model import NetworkModel
from ai.networks.running import RunningNetwork
from tests.makers.networks import UNET, unet_weights, write_model
from tests.unit.ai.networks.test_memory_ends import card
from tests.unit.ai.networks.test_model import image, volume


class Drawing(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + torch.rand(1)


@pytest.fixture(autouse=True)
def torch_as_it_was() -> None:
    yield
    torch.set_default_dtype(torch.float32)
    torch.set_default_device(None)


def test_what_another_model_has_set_changes_no_result() -> None:
    running = RunningNetwork(Drawing(), card(16), Device(threads=2))
    image = running.load(np.ones((1, 16, 16, 16), np.float32))
    first = running(image)

    torch.set_num_threads(1)
    torch.set_default_dtype(torch.float64)
    torch.manual_seed(7)
    second = running(image)

    assert (second.dtype, torch.get_num_threads()) == (first.dtype, 2)
    np.testing.assert_array_equal(first, second)


def test_a_network_is_built_as_if_no_other_model_had_been_there(tmp_path: Path) -> None:
    """Of the other's default kind or on its default device, it met no image that it could take."""
    parameters = "\n".join(f"{key} = {value}" for key, value in UNET.items())
    lines = f'kind = "safetensors"\narchitecture = "unet"\nfinds = "segments"\n[network.parameters]\n{parameters}'
    model, inputs = NetworkModel(write_model(tmp_path / "unet", unet_weights(), lines)), volume(image((16, 32, 32)))
    with model.open(Device()) as predict:
        expected = predict(inputs).segments[0].mask

    torch.set_default_dtype(torch.float64)
    torch.set_default_device("meta")
    with model.open(Device()) as predict:
        found = predict(inputs).segments[0].mask

    np.testing.assert_array_equal(found, expected)
