"""Networks to be timed: what lies around each is real, and the time inside it is kept apart."""

import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ai.contract import Code, InputCard, ModelCard, Predict, SegmentCard
from ai.device import Device
from ai.memory import begin_peak, peak_mb
from ai.networks.architectures import build
from ai.networks.declared import Kind, NetworkCard, Precision, WindowCard
from ai.networks.heads import Activation, Finds, HeadCard
from ai.networks.model import in_parts
from ai.networks.running import RunningNetwork
from ai.postprocessing.table import FINISHING
from ai.preparation.table import PREPARATION
from ai.step import choose
from ai.window import Window, predict_in_windows

if TYPE_CHECKING:
    import torch
    from torch import nn

UNET_20M: dict[str, object] = {
    "spatial_dims": 3,
    "in_channels": 1,
    "out_channels": 2,
    "channels": [32, 64, 128, 256, 512],
    "strides": [2, 2, 2, 2],
    "num_res_units": 2,
}
"""A U-Net of about 20 million parameters."""
UNET_SMALL: dict[str, object] = {**UNET_20M, "channels": [8, 16, 32], "strides": [2, 2], "num_res_units": 1}
WINDOW_RUNS = 6
"""Of each side in a round: a run takes half a second, in which a shared machine is not steady."""
TISSUE = Code("85756007", "SCT", "Tissue")


def card(name: str, *, spacing_mm: float | None) -> ModelCard:
    """A CT model with one segment; resampled where a spacing is given."""
    chain = [choose(PREPARATION, "window", low=-1000.0, high=1000.0)]
    if spacing_mm is not None:
        chain.insert(0, choose(PREPARATION, "resample", spacing_mm=(spacing_mm,) * 3))
    return ModelCard(
        name=name,
        version="0",
        vendor="Isocenter",
        title="For figures",
        intended_use="None",
        not_validated_for=(),
        licence="Apache-2.0",
        memory_mb=1,
        timeout_s=3600,
        inputs=(InputCard("ct", ("CT",), ("axial",), 1, None, None, None, None),),
        reference="ct",
        segments=(SegmentCard("bright", "Bright", TISSUE, TISSUE, None, TISSUE, None, (255, 0, 0)),),
        measurements=(),
        digest="",
        prepare=tuple(chain),
        finish=(choose(FINISHING, "argmax"),),
    )


def network_card(window: tuple[int, int, int] | None = None, precision: Precision = Precision.FP32) -> NetworkCard:
    return NetworkCard(
        kind=Kind.SAFETENSORS,
        weights=Path(),
        sha256="",
        architecture="unet",
        parameters={},
        window=None if window is None else WindowCard(window, 0.25, "gaussian", 4),
        dimensions=3,
        inputs=("ct",),
        heads=(HeadCard(Finds.SEGMENTS, ("bright",), Activation.NONE),),
        precision=precision,
        channels_last=False,
        compile=False,
    )


@dataclass
class TimedModel:
    """A model of the contract around a network made in memory; `inside_s` are the times of its calls."""

    card: ModelCard
    network: NetworkCard
    make: "Callable[[], nn.Module]"
    inside_s: list[float] = field(default_factory=list)

    @contextmanager
    def open(self, device: Device) -> Iterator[Predict]:
        made = self.make().eval()
        made.register_forward_pre_hook(lambda *_: self.inside_s.append(-time.perf_counter()))
        made.register_forward_hook(lambda *_: self._leave())
        with closing(RunningNetwork(made, self.network, device)) as running:
            yield in_parts(self.card, self.network, running)

    def _leave(self) -> None:
        self.inside_s[-1] += time.perf_counter()


def bright(seconds: float = 0.0) -> "nn.Module":
    """Says at once what is bright; or after some time, in which it takes no processor, as a GPU would."""
    from torch import cat, full_like, nn

    class Bright(nn.Module):
        def forward(self, x: "torch.Tensor") -> "torch.Tensor":
            time.sleep(seconds)
            return cat([full_like(x, 0.5), x], dim=1)

    return Bright()


@dataclass(frozen=True)
class Windows:
    """Seconds of our windows and of MONAI's over the same image with the same network, and how much they differ."""

    ours: tuple[float, ...]
    monai: tuple[float, ...]
    version: str
    largest_difference: float


def time_windows(rounds: int, threads: int, shape: tuple[int, int, int], size: tuple[int, int, int]) -> Windows:
    """In turn, after one call of each that is not counted, and each first as often as second: what runs just before
    has an influence of its own on what lasts half a second."""
    import monai
    import torch
    from monai.inferers.utils import sliding_window_inference

    torch.set_num_threads(threads)
    torch.manual_seed(0)
    network, image = build("unet", UNET_SMALL).eval(), torch.rand(1, *shape)

    def ours() -> torch.Tensor:
        return predict_in_windows(network, image, Window(size, 0.5, "gaussian", 4))

    def theirs() -> torch.Tensor:
        found = sliding_window_inference(image[None], size, 4, network, overlap=0.5, mode="gaussian")
        assert isinstance(found, torch.Tensor)  # noqa: S101  one network, one output
        return found[0]

    took: dict[Callable[[], torch.Tensor], list[float]] = {ours: [], theirs: []}
    with torch.inference_mode():
        difference = float((ours() - theirs()).abs().max())
        for number in range(WINDOW_RUNS * rounds):
            for one in (ours, theirs) if number % 2 else (theirs, ours):
                start = time.perf_counter()
                one()
                took[one].append(time.perf_counter() - start)
    return Windows(tuple(took[ours]), tuple(took[theirs]), str(monai.__version__), difference)


@dataclass(frozen=True)
class OnGpu:
    """A large U-Net over a large study on a GPU."""

    precision: str
    seconds: float
    voxels_per_s: float
    peak_mb: int


def time_gpu(device: Device, shape: tuple[int, int, int]) -> Iterator[OnGpu]:
    """fp32 and bf16, each warm."""
    import torch

    image = torch.rand(1, *shape)
    for precision in (Precision.FP32, Precision.BF16):
        torch.manual_seed(0)
        card = replace(network_card((96, 96, 96), precision), channels_last=True)
        with closing(RunningNetwork(build("unet", UNET_20M).eval(), card, device)) as running:
            running(image)
            begin_peak(device)
            start = time.perf_counter()
            running(image)
            taken = time.perf_counter() - start
            yield OnGpu(precision.value, taken, image.numel() / taken, peak_mb(device))
