"""What was decided of each voxel of the prepared grid, and the scores it was decided from."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from ai.errors import ModelFailed
from ai.findings import Mask
from ai.preparation.images import Array, Spacing

Labels = npt.NDArray[np.uint8]

ROUNDING = 1e-3
"""Beyond 0 and 1, sums of half precision are still probabilities."""


@dataclass(frozen=True)
class Decided:
    """Labels and scores on the prepared grid.

    labels: (layers, slices, rows, columns); each layer is a label map, and a label lies in one layer only. 0: nothing.
    scores: (channels, slices, rows, columns). Labels of one layer are the channels (0: background); of several layers,
    label n is channel n - 1 and lies in layer n - 1. at_least: the score that made a label; None: the highest one did.
    scored: the labels that the scores gave, before any cleaning. merged: the label that each of them has become.
    """

    labels: Labels
    scored: Labels
    scores: Array
    at_least: float | None
    spacing_mm: Spacing | None
    merged: npt.NDArray[np.uint8]

    @property
    def renamed(self) -> bool:
        """Some label has become another."""
        return bool((self.merged != np.arange(len(self.merged))).any())

    def layer(self, label: int) -> int:
        """The layer in which a label lies. Raises ModelFailed where there is no such label."""
        if not 1 <= label < len(self.merged):
            raise ModelFailed(
                f"a step of the card names label {label}; the model has labels 1 to {len(self.merged) - 1}"
            )
        return 0 if self.at_least is None else int(self.merged[label]) - 1

    def regions(self, labels: tuple[int, ...] | None) -> Iterator[tuple[int, Mask]]:
        """Every label that was asked for (all, where none was) with its region, unless that is empty."""
        asked = labels or tuple(sorted(set(self.merged[1:].tolist())))
        for label in asked:
            region = self.labels[self.layer(label)] == label
            if region.any():
                yield label, region

    def cleaned(self, labels: tuple[int, ...] | None, clean: Callable[[Mask], Mask]) -> "Decided":
        """Each region as `clean` makes it. What it adds is taken from the background only, never from another label."""
        made = self.labels.copy()
        for label, region in self.regions(labels):
            wanted = clean(region)
            layer = made[self.layer(label)]
            layer[region & ~wanted] = 0
            layer[wanted & (layer == 0)] = label
        return replace(self, labels=made)


def highest(scores: Array, spacing_mm: Spacing | None) -> Decided:
    """The channel with the highest score; channel 0, and any tie with it, is background."""
    if not 2 <= len(scores) <= 256:
        raise ModelFailed(f"argmax needs 2 to 256 channels, the background first; the model gave {len(scores)}")
    labels = np.zeros((1, *scores.shape[1:]), dtype=np.uint8)
    for k, plane in enumerate(labels[0]):
        best = scores[0, k].copy()
        for channel in range(1, len(scores)):
            higher = scores[channel, k] > best
            plane[higher] = channel
            np.copyto(best, scores[channel, k], where=higher)
    return Decided(labels, labels, scores, None, spacing_mm, np.arange(len(scores), dtype=np.uint8))


def reaching(scores: Array, at_least: float, spacing_mm: Spacing | None) -> Decided:
    """Label n where channel n - 1 reaches a score, each for itself."""
    if len(scores) > 255:
        raise ModelFailed(f"at most 255 regions may overlap; the model gave {len(scores)}")
    low, high = float(scores.min()), float(scores.max())
    if low < -ROUNDING or high > 1 + ROUNDING:
        raise ModelFailed(
            f"`threshold` decides from probabilities, and the model gave {low:g} to {high:g}: set the activation that "
            "makes them, or a threshold would find less than there is"
        )
    numbers = np.arange(1, len(scores) + 1, dtype=np.uint8)
    labels = np.where(scores >= at_least, numbers[:, None, None, None], np.uint8(0))
    return Decided(labels, labels, scores, at_least, spacing_mm, np.arange(len(scores) + 1, dtype=np.uint8))


def labelled(labels: Array, spacing_mm: Spacing | None) -> Decided:
    """A label map (slices, rows, columns) that a model gave: as if each label had scored 1 where it is."""
    count = int(labels.max(initial=0))
    if count > 255:
        raise ModelFailed(f"a label map has at most 255 labels; the model gave {count}")
    scores = np.stack([labels == label for label in range(max(2, count + 1))])
    return highest(scores, spacing_mm)
