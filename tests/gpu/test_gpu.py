"""On a GPU: the processor's findings, a warm second study, and the way back to the processor where memory ends."""

from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from ai.device import Device
from ai.memory import begin_peak, peak_mb
from ai.networks.architectures import build
from ai.networks.declared import Precision, WindowCard
from ai.networks.heads import Activation
from ai.networks.model import NetworkModel
from ai.networks.running import RunningNetwork
from ai.networks.timing import UNET_20M, UNET_SMALL, network_card
from ai.volume import Inputs, Volume
from tests.makers.networks import SEGMENT, write_bright
from tests.unit.ai.networks.test_detected import Twofold, made
from tests.unit.ai.networks.test_model import CLASSES

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")]
CPU, GPU = Device(), Device("cuda")
TOLERANCE = {Precision.FP32: 5e-3, Precision.BF16: 5e-2}
"""Of a probability: TF32 and other orders of sums; in bf16 eight bits of mantissa."""


def said(device: Device, precision: Precision = Precision.FP32) -> np.ndarray:
    torch.manual_seed(0)
    card = network_card((48, 48, 48), precision)
    card = replace(card, heads=(replace(card.heads[0], activation=Activation.SOFTMAX),))
    image = np.random.default_rng(0).random((1, 64, 96, 80), dtype=np.float32)
    with closing(RunningNetwork(build("unet", UNET_SMALL).eval(), card, device)) as running:
        return running(running.load(image))


@pytest.mark.parametrize("precision", [Precision.FP32, Precision.BF16])
def test_the_gpu_says_what_the_processor_says(precision: Precision) -> None:
    np.testing.assert_allclose(said(GPU, precision), said(CPU), atol=TOLERANCE[precision])


def test_findings_of_a_folders_model_are_the_same(tmp_path: Path) -> None:
    array = np.random.default_rng(0).random((20, 30, 40), dtype=np.float32)
    inputs = Inputs({"image": Volume(array, np.eye(4), (1.0, 1.0, 1.0))}, "image")
    model = NetworkModel(write_bright(tmp_path / "bright"))
    found = []
    for device in (CPU, GPU):
        with model.open(device) as predict:
            found += [predict(inputs).segments[0].mask, predict(inputs).segments[0].mask]

    assert all(np.array_equal(one, found[0]) for one in found)


def test_several_outputs_are_the_same(tmp_path: Path) -> None:
    array = np.random.default_rng(0).random((20, 30, 40), dtype=np.float32)
    inputs = Inputs({"image": Volume(array, np.eye(4), (1.0, 1.0, 1.0))}, "image")
    outputs = '[[network.output]]\nfinds = "segments"\n[[network.output]]\nfinds = "classifications"\n'
    chain = '[[finish]]\nstep = "argmax"\n'
    model = made(tmp_path / "m", Twofold(), outputs, SEGMENT + CLASSES.format("one"), chain)
    found = []
    for device in (CPU, GPU):
        with model.open(device) as predict:
            found.append(predict(inputs))

    np.testing.assert_array_equal(found[1].segments[0].mask, found[0].segments[0].mask)
    assert found[1].classifications[0].probability == pytest.approx(found[0].classifications[0].probability, abs=1e-5)


def test_where_the_gpu_is_full_the_processor_does_it() -> None:
    said(GPU)  # so that cuDNN has what it holds for good
    free, _ = torch.cuda.mem_get_info()
    taken = torch.empty(max(free - (200 << 20), 0), dtype=torch.uint8, device="cuda")
    try:
        card = replace(network_card(), window=WindowCard((160, 160, 160), 0.0, "constant", 8))
        image = np.zeros((1, 160, 160, 160), np.float32)
        with closing(RunningNetwork(build("unet", UNET_20M).eval(), card, GPU)) as running:
            assert running(running.load(image)).shape == (2, 160, 160, 160)
            assert running._on is not None
            assert running._on.kind == "cpu"
    finally:
        del taken


def test_peak_memory_is_counted() -> None:
    begin_peak(GPU)
    taken = torch.empty(100 << 20, dtype=torch.uint8, device="cuda")
    del taken

    assert peak_mb(GPU) >= 100
