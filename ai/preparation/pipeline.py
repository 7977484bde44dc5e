"""Runs a card's chain of steps on a model's inputs."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from ai.errors import ModelFailed, ModelRefused
from ai.preparation.geometry import Box, within
from ai.preparation.images import Values
from ai.preparation.placed import Placed
from ai.step import Chain, Chosen, Form, Value
from ai.together import refuse_other_places
from ai.volume import Affine, Inputs, Volume


@dataclass(frozen=True)
class Prepared:
    """A model's inputs after its chain, and what is needed to bring results back.

    placed: each input as the chain made it. reference: the one on whose source grid results go.
    """

    placed: Mapping[str, Placed]
    reference: str

    @property
    def reference_volume(self) -> Volume:
        """The reference as the model gets it."""
        return self.placed[self.reference].volume

    @property
    def source(self) -> Volume:
        """The reference as it came."""
        return self.placed[self.reference].source

    def stacked(self, names: tuple[str, ...] = ()) -> Values:
        """The inputs as channels, in the order of `names` or all: float32 (channels, slices, rows, columns).

        Raises ModelFailed where their shapes differ, ModelRefused where one voxel is two places in the patient: the
        chain must `match` or `register` them.
        """
        chosen = {name: self.placed[name] for name in names or self.placed}
        arrays = [one.values for one in chosen.values()]
        if len({array.shape for array in arrays}) > 1:
            raise ModelFailed(
                f"the inputs have different shapes after preparation ({', '.join(str(one.shape) for one in arrays)}): "
                "add a step `match` that brings them onto one grid"
            )
        refuse_other_places({name: one.volume for name, one in chosen.items()})
        return np.stack(arrays)


def prepare(inputs: Inputs, chain: Chain, boxes: Mapping[str, Box] | None = None) -> Prepared:
    """The inputs after every step. Raises ModelRefused where an input is unsuitable for a step.

    boxes: what is taken of each input before the first step; the way back leads to the whole source all the same.
    """
    prepared = _begun(inputs)
    if boxes is not None:
        prepared = replace(prepared, placed={name: within(one, boxes[name]) for name, one in prepared.placed.items()})
    for chosen in chain:
        prepared = _after(prepared, chosen)
    return prepared


def each_step(inputs: Inputs, chain: Chain) -> Iterator[tuple[Chosen | None, Prepared]]:
    """The inputs as they came, and after each step with that step. Raises ModelRefused as `prepare` does."""
    prepared = _begun(inputs)
    yield None, prepared
    for chosen in chain:
        prepared = _after(prepared, chosen)
        yield chosen, prepared


def _begun(inputs: Inputs) -> Prepared:
    for name, volume in inputs.volumes.items():
        if np.issubdtype(volume.array.dtype, np.floating) and not np.isfinite(volume.array).all():
            raise ModelRefused(f"input {name}: the images hold values that are not numbers")
        if volume.affine_lps is not None and not _describes_a_volume(volume.affine_lps):
            raise ModelRefused(f"input {name}: the position and orientation of the images do not describe a volume")
    return Prepared({name: Placed.at_source(volume) for name, volume in inputs.volumes.items()}, inputs.reference)


def _describes_a_volume(affine: Affine) -> bool:
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    return bool(np.isfinite(affine).all() and spacing.min() > 0 and abs(np.linalg.det(affine[:3, :3] / spacing)) > 1e-3)


def _after(prepared: Prepared, chosen: Chosen) -> Prepared:
    values = dict(chosen.values)
    named = {str(values[one.name]) for one in chosen.step.parameters if one.form is Form.INPUT}
    for one in chosen.step.parameters:
        if one.form is Form.INPUT:
            values[one.name] = prepared.placed[str(values[one.name])]  # type: ignore[assignment]
    changed = {
        name: _called(chosen, placed, values)
        for name, placed in prepared.placed.items()
        if (name in chosen.inputs if chosen.inputs else name not in named)
    }
    return replace(prepared, placed={**prepared.placed, **changed})


def _called(chosen: Chosen, placed: Placed, values: dict[str, Value]) -> Placed:
    try:
        found: Placed = chosen.step.call(placed, **values)
    except RuntimeError as error:  # all that SimpleITK raises
        raise ModelFailed(f"{chosen.where}: {str(error).strip().splitlines()[-1]}") from error
    return found
