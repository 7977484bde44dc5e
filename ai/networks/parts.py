"""Parts of an image that a network is given one by one, and what all of its outputs say of each."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ai.networks.declared import NetworkCard
from ai.preparation.images import Values
from ai.window import places

if TYPE_CHECKING:
    import torch

Outputs = tuple[Values, ...]


@dataclass(frozen=True)
class Part:
    """A part of an image, by its first (slice, row, column), and what every output says of it."""

    first: tuple[int, int, int]
    said: Outputs


def parts_of(shape: tuple[int, int, int], card: NetworkCard) -> Iterator[tuple[slice, slice, slice]]:
    """The whole image, or every slice of it: each at once, or in windows, of which the last end with the image."""
    spatial = shape[3 - card.dimensions :]
    size, overlap = (spatial, 0.0) if card.window is None else (card.window.size, card.window.overlap)
    within = places([max(one, least) for one, least in zip(spatial, size, strict=True)], size, overlap)
    if card.dimensions == 3:
        yield from ((z, y, x) for z, y, x in within)
    else:
        yield from ((slice(k, k + 1), y, x) for k in range(shape[0]) for y, x in within)


def padded(part: "torch.Tensor", card: NetworkCard) -> "torch.Tensor":
    """Of an image that is smaller than the window: zeros after its end, so that places stay. part: (channels, …)."""
    from torch.nn.functional import pad

    if card.window is None:
        return part
    missing = [least - one for one, least in zip(part.shape[1:], card.window.size, strict=True)]
    return pad(part, [number for one in reversed(missing) for number in (0, one)])
