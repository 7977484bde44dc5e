"""Where a classifier's answer comes from: its fall where the image is hidden, or the activations that speak for it."""

from collections.abc import Sequence
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from ai.errors import CardInvalid, ModelFailed
from ai.networks.explaining import By, Explanation
from ai.networks.running import RunningNetwork
from ai.preparation.images import Spacing, Values
from ai.preparation.placed import Placed

if TYPE_CHECKING:
    import torch
    from torch import nn

MOST_PLACES = 1000
"""Where more would be hidden one by one, boxes are set further apart, and are larger where they would leave gaps."""
NAMED_TO_DEPTH = 2

Place = tuple[slice, slice, slice]


def explained(
    running: RunningNetwork,
    image: "torch.Tensor",
    placed: Placed,
    explanation: Explanation,
    channels: Sequence[str],
) -> tuple[tuple[str, Values], ...]:
    """Maps by their keys, float32 (slices, rows, columns), on the grid of the image: (channels, …), as the network.

    placed: the image before it was the network's. Raises ModelRefused where boxes in mm have no size in it.
    """
    numbers = [channels.index(key) for key, _ in explanation.maps]
    if explanation.by is By.OCCLUSION:
        found = falls_where_hidden(running, image, placed.spacing_mm, explanation)[numbers]
    else:
        found = np.stack([running.with_gradients(image, explanation.layer, one, activation_map) for one in numbers])
    return tuple((name, one) for (_, name), one in zip(explanation.maps, found, strict=True))


def falls_where_hidden(
    running: RunningNetwork, image: "torch.Tensor", spacing_mm: Spacing, explanation: Explanation
) -> Values:
    """How much each probability falls while a voxel is hidden, the mean of all boxes that hide it; below 0: it rises.

    float32 (channels, slices, rows, columns). Zeiler and Fergus 2014, arXiv:1311.2901.
    """
    import torch

    shape = (image.shape[1], image.shape[2], image.shape[3])
    where = places(shape, spacing_mm, explanation.box_mm, explanation.stride_mm)
    whole = running.each(image[None])[0]
    fill = image.mean(dim=(1, 2, 3)) if explanation.fill is None else torch.full((len(image),), explanation.fill)
    total, count = np.zeros((len(whole), *shape)), np.zeros(shape)
    for first in range(0, len(where), explanation.batch):
        group = where[first : first + explanation.batch]
        hidden = image.repeat(len(group), 1, 1, 1, 1)
        for one, place in zip(hidden, group, strict=True):
            one[(slice(None), *place)] = fill[:, None, None, None]
        for said, place in zip(running.each(hidden), group, strict=True):
            total[(slice(None), *place)] += (whole - said)[:, None, None, None]
            count[place] += 1
    return (total / count).astype(np.float32)


def places(shape: tuple[int, int, int], spacing_mm: Spacing, box_mm: float, stride_mm: float) -> list[Place]:
    """Boxes that cover the grid, MOST_PLACES of them at most; the last along each axis ends where the grid ends."""
    while True:
        slices, rows, columns = (
            _along(size, max(1, round(box_mm / one)), max(1, round(stride_mm / one)))
            for size, one in zip(shape, spacing_mm, strict=True)
        )
        if len(slices) * len(rows) * len(columns) <= MOST_PLACES:
            return list(product(slices, rows, columns))
        stride_mm *= 1.1
        box_mm = max(box_mm, stride_mm)


def _along(size: int, box: int, stride: int) -> list[slice]:
    last = max(0, size - box)
    starts = sorted({*range(0, last, stride), last})
    return [slice(start, min(size, start + box)) for start in starts]


def activation_map(activations: "torch.Tensor", gradients: "torch.Tensor", size: Sequence[int]) -> "torch.Tensor":
    """Grad-CAM (Selvaraju et al. 2017, arXiv:1610.02391), interpolated to a size, divided by its highest value.

    activations, gradients: (1, features, …) of a layer. Zeros where nothing speaks for the answer.
    """
    from torch.nn import functional

    if activations.ndim != len(size) + 2:
        raise ModelFailed(
            f"[network.explain]: the layer gives an array of shape {tuple(activations.shape[1:])}, no image: name one "
            "before the network's pooling"
        )
    weights = gradients.mean(dim=tuple(range(2, gradients.ndim)), keepdim=True)
    found = (weights * activations).sum(dim=1, keepdim=True).relu()
    found = functional.interpolate(found, tuple(size), mode="trilinear" if len(size) == 3 else "bilinear")[0, 0]
    highest = found.max()
    return found / highest if highest > 0 else found


def check_layer(network: "nn.Module", layer: str) -> None:
    """Raises CardInvalid, with the names of the outer layers, where the network has none of that name."""
    names = [name for name, _ in network.named_modules() if name]
    if layer not in names:
        outer = [name for name in names if name.count(".") < NAMED_TO_DEPTH]
        raise CardInvalid(f"[network.explain]: the network has no layer {layer!r}; its layers are {', '.join(outer)}")
