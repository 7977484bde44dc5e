"""The same input gives the same bits, whatever another model of the process has set in torch meanwhile."""

import numpy as np
import pytest
import torch

from ai.device import Device
from ai.networks.running import RunningNetwork
from tests.unit.ai.networks.test_memory_ends import card


class Drawing(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + torch.rand(1)


@pytest.fixture(autouse=True)
def torch_as_it_was() -> None:
    yield
    torch.set_default_dtype(torch.float32)


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
