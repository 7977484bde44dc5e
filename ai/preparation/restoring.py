"""Brings what a model made on the prepared grid back to the source's own voxels, in one interpolation."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np

from ai.errors import ModelFailed
from ai.findings import Mask
from ai.preparation.deciding import Labels, first_highest, highest
from ai.preparation.images import Array, Values
from ai.preparation.pipeline import Prepared
from ai.preparation.placed import Placed
from ai.preparation.sampling import LINEAR, NEAREST, Shape, axes_between, planes, resampled
from ai.volume import Affine

CLASSES = np.iinfo(np.uint8).max + 1


def restore_labels(prepared: Prepared, labels: Array, of: str | None = None) -> Array:
    """Labels on the prepared grid of an input (the reference) by nearest neighbour on its source grid; 0 outside."""
    whole = _whole(prepared, labels, of)
    return resampled(labels, whole.to_prepared, whole.shape, NEAREST, 0.0)


def restore_probability(prepared: Prepared, probability: Array, of: str | None = None) -> Values:
    """Values on the prepared grid, linearly interpolated on the source grid; 0 outside. float32."""
    whole = _whole(prepared, probability, of)
    made = resampled(probability, whole.to_prepared, whole.shape, LINEAR, 0.0, whole.placed.apart)
    return made.astype(np.float32, copy=False)


def restore_image(prepared: Prepared, values: Array) -> Values:
    """Values of the reference's own unit on its prepared grid, linearly interpolated on the source grid. Outside they
    are the source's own: 0 would be water in a CT. float32."""
    made = restore_probability(prepared, values)
    covered = restore_probability(prepared, np.ones(values.shape, np.float32)) > 0
    return np.where(covered, made, prepared.source.array).astype(np.float32, copy=False)


def restore_mask(prepared: Prepared, probability: Array, at_least: float = 0.5, of: str | None = None) -> Mask:
    """Where a probability (or mask) on the prepared grid, linearly interpolated, reaches a value on the source grid."""
    if not at_least > 0:
        raise ModelFailed(f"a mask must be decided above 0, the value outside the images, not at {at_least:g}")
    whole = _whole(prepared, probability, of)
    made = np.zeros(whole.shape, dtype=np.bool_)
    part = whole.around(probability >= at_least)
    if part is not None:
        for plane, values in zip(made[part.slices], part.planes(probability), strict=True):
            np.greater_equal(values, at_least, out=plane)
    return made


def restore_argmax(prepared: Prepared, scores: Array, of: str | None = None) -> Labels:
    """The class whose score, linearly interpolated, is highest on the source grid; 0, the background, where they tie.

    scores: (classes, slices, rows, columns) on the prepared grid, probabilities or logits. Outside it: background.
    """
    if scores.ndim != 4 or not 1 < len(scores) <= CLASSES:
        raise ModelFailed(f"argmax needs (2 to {CLASSES} classes, slices, rows, columns), not {scores.shape}")
    whole = _whole(prepared, scores, of)
    axes = axes_between(whole.to_prepared, scores.shape[1:], whole.shape, whole.placed.apart)
    if axes is not None:
        return highest(scores, axes)
    return first_highest(resampled(one, whole.to_prepared, whole.shape, LINEAR, 0.0) for one in scores)


@dataclass(frozen=True)
class Part:
    """A box of the source grid. to_prepared: maps its own indices to those of the prepared grid."""

    placed: Placed
    first: Shape
    shape: Shape

    @property
    def slices(self) -> tuple[slice, slice, slice]:
        """The box within the whole source grid."""
        a, b, c = (slice(low, low + count) for low, count in zip(self.first, self.shape, strict=True))
        return a, b, c

    @property
    def to_prepared(self) -> Affine:
        from_first = np.eye(4)
        from_first[:3, 3] = self.first
        found: Affine = np.linalg.inv(self.placed.to_source) @ from_first
        return found

    def planes(self, values: Array) -> Iterator[Values]:
        """Slices of the box, linearly interpolated from values on the prepared grid."""
        return planes(values, self.to_prepared, self.shape, self.placed.apart)

    def around(self, mask: Mask) -> "Part | None":
        """The box of all points within a voxel of the mask (on the prepared grid), None where it is empty."""
        sides = [np.flatnonzero(mask.any(axis=tuple(set(range(3)) - {axis}))) for axis in range(3)]
        if not all(side.size for side in sides):
            return None
        corners = np.array([[*corner, 1.0] for corner in product(*((side[0] - 1, side[-1] + 1) for side in sides))])
        places = (self.placed.to_source @ corners.T)[:3]
        low = np.clip(np.floor(places.min(axis=1)), 0, np.array(self.shape) - 1).astype(int)
        high = np.clip(np.ceil(places.max(axis=1)), 0, np.array(self.shape) - 1).astype(int)
        return _box(self.placed, low, high)


def _box(placed: Placed, low: Array, high: Array) -> Part:
    """The box from its first to its last voxel, both included."""
    first, count = low.tolist(), (high - low + 1).tolist()
    return Part(placed, (first[0], first[1], first[2]), (count[0], count[1], count[2]))


def _whole(prepared: Prepared, array: Array, of: str | None) -> Part:
    """The whole source grid of an input. Raises ModelFailed where the array does not lie on its prepared grid."""
    placed = prepared.placed[of or prepared.reference]
    if array.shape[-3:] != placed.shape:
        raise ModelFailed(
            f"a result of shape {array.shape[-3:]} does not lie on the prepared grid {placed.shape}: where a network "
            "needs sizes that are a multiple of some number, add a step `pad-to`"
        )
    slices, rows, columns = placed.source.array.shape
    return Part(placed, (0, 0, 0), (slices, rows, columns))
