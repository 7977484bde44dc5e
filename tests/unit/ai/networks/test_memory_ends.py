"""Where memory ends: smaller batches of windows, and an honest failure where one window is too much."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from ai.device import Device
from ai.networks.declared import Kind, NetworkCard, Precision, WindowCard
from ai.networks.heads import Activation, Finds, HeadCard
from ai.networks.running import RunningNetwork

PROGRAM = """
import resource, sys
from pathlib import Path
import numpy as np, torch
from ai.device import Device
from ai.errors import OutOfMemory
from ai.networks.heads import Activation, Finds, HeadCard
from ai.networks.running import RunningNetwork
from tests.unit.ai.networks.test_memory_ends import card

class Greedy(torch.nn.Module):
    def forward(self, x):
        large = torch.ones(x.shape[0], int(sys.argv[1]) << 18)  # so many MB for each window
        return x * large.mean()

running = RunningNetwork(Greedy(), card(16), Device(threads=1))
image = running.load(np.ones((1, 32, 32, 32), np.float32))
used = int(Path("/proc/self/statm").read_text().split()[5]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_DATA, (used + (500 << 20),) * 2)
try:
    said = running(image)
except OutOfMemory:
    print("out of memory")
else:
    print(float(said.min()), float(said.max()), running._batch)
"""


def card(batch: int) -> NetworkCard:
    return NetworkCard(
        kind=Kind.TORCHSCRIPT,
        weights=Path(),
        sha256="",
        architecture="",
        parameters={},
        window=WindowCard((16, 16, 16), 0.0, "constant", batch),
        dimensions=3,
        inputs=(),
        heads=(HeadCard(Finds.MAPS, (), Activation.NONE),),
        precision=Precision.FP32,
        channels_last=False,
        compile=False,
    )


@pytest.mark.parametrize(
    ("each_mb", "told"), [(10, "1.0 1.0 16"), (100, "1.0 1.0 4"), (300, "1.0 1.0 1"), (900, "out of memory")]
)
def test_batches_become_smaller_until_they_fit(each_mb: int, told: str) -> None:
    ran = subprocess.run([sys.executable, "-c", PROGRAM, str(each_mb)], capture_output=True, text=True, timeout=120)

    assert ran.stdout.strip() == told, ran.stderr


class TooLarge(torch.nn.Identity):
    """A network for which no other device has room; moved to one it is neither here nor there."""

    def __init__(self) -> None:
        super().__init__()
        self.moved_to: list[str] = []

    def to(self, device: torch.device) -> "TooLarge":
        self.moved_to.append(device.type)
        if device.type != "cpu":
            raise torch.OutOfMemoryError("CUDA out of memory")
        return self


def test_a_network_that_memory_ends_for_on_its_way_is_brought_back_to_the_processor() -> None:
    network = TooLarge()
    running = RunningNetwork(network, card(2), Device("meta"))
    image = np.random.default_rng(0).random((1, 16, 16, 20), dtype=np.float32)

    assert np.array_equal(running(running.load(image)), image)
    assert network.moved_to == ["meta", "meta", "cpu"]
