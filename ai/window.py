"""Runs a network over a volume in overlapping windows and blends what it says, all on the network's device.

Places, weights and padding are those of MONAI's sliding_window_inference, whose output it equals; those of even windows
are nnU-Net's, which it equals.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from math import ceil
from typing import TYPE_CHECKING

from ai.errors import ModelFailed

if TYPE_CHECKING:
    import torch

SIGMA_SHARE = 0.125
"""Standard deviation of the gaussian weights, as a share of the window."""
LEAST_WEIGHT = 1e-3


@dataclass(frozen=True)
class Window:
    """How a volume is cut: sizes in voxels (0: the whole axis), overlap as a share of the window, gaussian or constant
    weights. even: as nnU-Net cuts."""

    size: tuple[int, ...]
    overlap: float
    blend: str
    batch: int
    even: bool = False


def places(image: Sequence[int], window: Sequence[int], overlap: float) -> list[tuple[slice, ...]]:
    """Where the windows lie: dense, in order, the last one moved back so that it ends at the image's end."""
    starts = []
    for whole, one in zip(image, window, strict=True):
        step = one if one == whole else max(int(one * (1 - overlap)), 1)
        count = 1 if one >= whole else -(-(whole - one) // step) + 1
        starts.append([min(number * step, whole - one) for number in range(count)])
    return [tuple(slice(a, a + one) for a, one in zip(corner, window, strict=True)) for corner in product(*starts)]


def even_places(image: Sequence[int], window: Sequence[int], overlap: float) -> list[tuple[slice, ...]]:
    """As few windows as overlap so far, spread evenly from the image's beginning to its end."""
    starts = []
    for whole, one in zip(image, window, strict=True):
        steps = ceil((whole - one) / (one * (1 - overlap)))
        starts.append([round((whole - one) / max(steps, 1) * number) for number in range(steps + 1)])
    return [tuple(slice(a, a + one) for a, one in zip(corner, window, strict=True)) for corner in product(*starts)]


def even_weights(window: Sequence[int], device: "torch.device") -> "torch.Tensor":
    """A gaussian about the voxel behind the middle, and its least value where it would be 0."""
    import torch

    found = torch.ones((), dtype=torch.float64)
    for size in window:
        offset = torch.arange(size, dtype=torch.float64) - size // 2
        one = torch.exp(offset**2 / (-2 * (SIGMA_SHARE * size) ** 2))
        one[offset.abs() > int(4 * SIGMA_SHARE * size + 0.5)] = 0  # scipy's gaussian_filter ends there
        found = found.unsqueeze(-1) * one
    return found.clamp_(min=float(found[found > 0].min())).to(device, torch.float32)


def weights(window: Sequence[int], blend: str, device: "torch.device") -> "torch.Tensor":
    """How much each voxel of a window counts."""
    import torch

    if blend == "constant":
        return torch.ones(tuple(window), device=device)
    found = torch.ones((), device=device)
    for size in window:
        offset = torch.arange(size, dtype=torch.float32, device=device) - (size - 1) / 2.0
        found = found.unsqueeze(-1) * torch.exp(offset**2 / (-2 * (SIGMA_SHARE * size) ** 2))
    return found.clamp_(min=max(float(found.min()), LEAST_WEIGHT))


def predict_in_windows(
    network: "Callable[[torch.Tensor], torch.Tensor]", image: "torch.Tensor", window: Window
) -> "torch.Tensor":
    """The network's output over a whole image: float32 (channels, *image's spatial size), on the image's device.

    image: (channels, …), smaller than the window along some axes at most, where zeros are put around it. The network
    takes (batch, channels, *the window's size) and gives as many voxels. Raises ModelFailed where it does not.
    """
    import torch
    from torch.nn import functional

    wanted = tuple(image.shape[1:])
    part = tuple(one or whole for one, whole in zip(window.size, wanted, strict=True))
    missing = [max(one - whole, 0) for one, whole in zip(part, wanted, strict=True)]
    if any(missing):
        around = [half for lack in reversed(missing) for half in (lack // 2, lack - lack // 2)]
        image = functional.pad(image, around)
    size = tuple(image.shape[1:])
    weight = even_weights(part, image.device) if window.even else weights(part, window.blend, image.device)
    total: torch.Tensor | None = None
    count = torch.zeros(size, device=image.device)
    where = (even_places if window.even else places)(size, part, window.overlap)
    for first in range(0, len(where), window.batch):
        group = where[first : first + window.batch]
        windows = torch.stack([image[(slice(None), *place)] for place in group])
        said = network(windows)
        if said.ndim != windows.ndim or said.shape[2:] != windows.shape[2:]:
            raise ModelFailed(
                f"the network gave {tuple(said.shape)} for windows of {tuple(windows.shape)}: it must "
                "say something of every voxel, as (batch, channels, …) of the window's own size"
            )
        if total is None:
            total = torch.zeros((said.shape[1], *size), device=image.device)
        for place, one in zip(group, said, strict=True):
            total[(slice(None), *place)].addcmul_(one.float(), weight)
            count[place] += weight
    assert total is not None  # noqa: S101  there is always one window
    total /= count
    inner = tuple(slice(lack // 2, lack // 2 + whole) for lack, whole in zip(missing, wanted, strict=True))
    return total[(slice(None), *inner)]
