"""Inputs made for a card: noise in the limits it declares, the same seen from elsewhere, and what must be refused."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from ai.contract import InputCard, ModelCard
from ai.preparation.filters import gaussian
from ai.preparation.images import Array
from ai.preparation.placed import Placed
from ai.volume import Affine, Facts, Inputs, Volume

SIDE_VOXELS = 96
FIELD_MM, COVERAGE_MM, SPACING_MM = 300.0, 200.0, 3.0
"""Where a card sets no limit."""
RANGE = {"CT": (-1000.0, 1000.0), "PT": (0.0, 20000.0)}
PLAIN_RANGE = (0.0, 1000.0)
STACKS = {
    "axial": np.array([[0.0, 0, 1], [0, 1, 0], [1, 0, 0]]),
    "coronal": np.array([[0.0, 0, 1], [1, 0, 0], [0, -1, 0]]),
    "sagittal": np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]]),
}
"""Directions (LPS) of slices, rows and columns of a stack, as columns of a matrix."""


def noise_inputs(card: ModelCard, seed: int = 0) -> Inputs:
    """Smooth noise in the modality's range for every input, within its card's limits, all around one place."""
    volumes = {one.name: _noise(one, np.random.default_rng([seed, number])) for number, one in enumerate(card.inputs)}
    return Inputs(volumes, card.reference)


def _noise(card: InputCard, generator: np.random.Generator) -> Volume:
    field = _field_mm(card)
    spacing = min(SPACING_MM, card.max_slice_spacing_mm or np.inf)
    depth = max(min(COVERAGE_MM, field), 1.1 * (card.min_coverage_mm or 0))
    slices = max(card.min_slices, int(np.ceil(depth / spacing)))
    pixel = field / SIDE_VOXELS
    rough = generator.normal(size=(slices, SIDE_VOXELS, SIDE_VOXELS)).astype(np.float32)
    smooth = gaussian(rough, (spacing, pixel, pixel), sigma_mm=3 * max(spacing, pixel))
    low, high = RANGE.get(card.modalities[0], PLAIN_RANGE)
    first, last = np.percentile(smooth, (1, 99))
    array = np.clip(low + (smooth - first) / (last - first) * (high - low), low, high).astype(np.int16)
    stack = next((STACKS[one] for one in card.orientations if one in STACKS), STACKS["axial"])
    affine = np.eye(4)
    affine[:3, :3] = stack @ np.diag([spacing, pixel, pixel])
    affine[:3, 3] = -affine[:3, :3] @ ((np.array(array.shape) - 1) / 2)
    return Volume(array, affine, (spacing, pixel, pixel), Facts(modality=card.modalities[0]))


def _field_mm(card: InputCard) -> float:
    """The middle of the limits where there is an upper one: a model of small cut-outs gets a small one."""
    least = card.min_field_mm or 0.0
    return max(FIELD_MM, 1.1 * least) if card.max_field_mm is None else min(FIELD_MM, (least + card.max_field_mm) / 2)


@dataclass(frozen=True)
class View:
    """The same patient in another order of voxels. name: what was done. axes, reversed_axes: how to undo it."""

    name: str
    inputs: Inputs
    axes: tuple[int, int, int]
    reversed_axes: tuple[int, ...]

    def back(self, mask: Array) -> Array:
        """A mask on the view's grid, on the sample's."""
        turned: Array = np.flip(mask, self.reversed_axes).transpose(np.argsort(self.axes))
        return turned

    def places_back(self, places: Array, grid: str) -> Array:
        """Places (n, 3) in voxels of an input of the view, in those of the sample's."""
        last = np.array(self.inputs.volumes[grid].array.shape) - 1
        turned = np.where(np.isin(np.arange(3), self.reversed_axes), last - places, places)
        found: Array = turned[:, np.argsort(self.axes)]
        return found


def views(inputs: Inputs, card: ModelCard) -> Iterator[View]:
    """The sample with slices in the other order, turned in its plane, and as every other stack that the card takes."""
    wanted: dict[str, tuple[tuple[int, int, int], tuple[int, ...]]] = {
        "slices in reverse order": ((0, 1, 2), (0,)),
        "turned upside down in its plane": ((0, 1, 2), (1, 2)),
    }
    reference = next(one for one in card.inputs if one.name == card.reference)
    if inputs.reference_volume.array.shape[0] > 1 and len(set(reference.orientations) & set(STACKS)) > 1:
        wanted["cut along its rows"] = ((1, 0, 2), (1,))
        wanted["cut along its columns"] = ((2, 0, 1), (1,))
    for name, (axes, turned) in wanted.items():
        volumes = {one: _seen(volume, axes, turned) for one, volume in inputs.volumes.items()}
        yield View(name, Inputs(volumes, inputs.reference), axes, turned)


def _seen(volume: Volume, axes: tuple[int, int, int], turned: tuple[int, ...]) -> Volume:
    to_old = np.zeros((4, 4))
    to_old[3, 3] = 1
    for new, old in enumerate(axes):
        to_old[old, new] = -1 if new in turned else 1
        to_old[old, 3] = volume.array.shape[old] - 1 if new in turned else 0
    array = np.ascontiguousarray(np.flip(volume.array.transpose(axes), turned))
    return Placed.at_source(volume).moved(array, to_old).volume


def moved(inputs: Inputs, by_mm: tuple[float, float, float]) -> Inputs:
    """The patient elsewhere on the table: the same voxels at another place."""
    shift: Affine = np.eye(4)
    shift[:3, 3] = by_mm
    return _each(inputs, lambda one: one if one.affine_lps is None else replace(one, affine_lps=shift @ one.affine_lps))


def unsuitable(inputs: Inputs) -> Iterator[tuple[str, Inputs]]:
    """What no model may find anything in, by what is wrong with it."""
    yield "another modality", _each(inputs, lambda one: replace(one, facts=replace(one.facts, modality="XX")))
    yield "values that are not numbers", _each(inputs, lambda one: replace(one, array=_with_gap(one.array)))
    yield "the same value everywhere", _each(inputs, lambda one: replace(one, array=np.zeros_like(one.array)))


def _with_gap(array: Array) -> Array:
    made = array.astype(np.float32)
    made[tuple(size // 2 for size in made.shape)] = np.nan
    return made


def _each(inputs: Inputs, change: Callable[[Volume], Volume]) -> Inputs:
    return Inputs({name: change(volume) for name, volume in inputs.volumes.items()}, inputs.reference)
