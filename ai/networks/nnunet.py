"""An nnU-Net v2 model as its trainer left it: network, preparation and windows by its plan.

After nnunetv2 2.8: default_preprocessor.py, default_resampling.py, predict_from_raw_data.py. Images are reordered, cut
to what is not zero, normalised, resampled (cubic; from slice to slice the nearest where slices are far apart), run in
windows that overlap by half with Gaussian weights, and what it says is resampled back (linear; the nearest as before).
Its mirrored copies are not made.
"""

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from ai.contract import ModelCard
from ai.errors import CardInvalid, ModelRefused
from ai.networks.checkpoint import tensors_of
from ai.networks.declared import NetworkCard, WindowCard
from ai.networks.opening import put_in
from ai.networks.plans import Plan
from ai.networks.weights import read_pinned
from ai.preparation.geometry import Box, box_around, resize, within
from ai.preparation.images import Values
from ai.preparation.pipeline import Prepared, prepare
from ai.preparation.placed import Placed
from ai.preparation.sampling import BSPLINE, NEAREST
from ai.volume import Inputs

if TYPE_CHECKING:
    from torch import nn

ANISOTROPIC = 3
"""From this ratio of spacings on, slices are resampled apart from what lies in them."""


def as_planned(network: NetworkCard, plan: Plan) -> NetworkCard:
    """The card's network with the plan's windows."""
    return replace(network, window=WindowCard(plan.patch, 0.5, "gaussian", 1, even=True), dimensions=plan.dimensions)


def open_planned(network: NetworkCard, plan: Plan) -> "nn.Module":
    """The plan's network with the checkpoint's weights. Raises CardInvalid where one does not fit the other."""
    import torch
    from dynamic_network_architectures.architectures import unet

    layers = {key: plan.parameters[key] for key in plan.layers}
    built = {key: None if name is None else getattr(torch.nn, name.rpartition(".")[2]) for key, name in layers.items()}
    parameters = {**plan.parameters, **built, "deep_supervision": False}
    try:
        made: nn.Module = getattr(unet, plan.network)(len(network.inputs), num_classes=plan.channels, **parameters)
    except (TypeError, ValueError, AssertionError, RuntimeError) as error:
        raise CardInvalid(f"{network.weights.parent.parent}: the plan's network cannot be built: {error}") from error
    return put_in(
        made, tensors_of(read_pinned(network.weights, network.sha256), network.weights.name), "checkpoint"
    ).eval()


def prepare_as_planned(inputs: Inputs, card: ModelCard, network: NetworkCard, plan: Plan) -> Prepared:
    """The inputs after the card's own chain and then the plan's. Raises ModelRefused for what it cannot take."""
    from scipy import ndimage  # loaded late: cards of networks are read where none is run

    prepared = prepare(inputs, card.prepare)
    placed = {name: _turned(prepared.placed[name], plan) for name in network.inputs}
    if len({one.shape for one in placed.values()}) > 1:
        raise ModelRefused("the inputs lie on different grids, and nnU-Net takes them as channels of one image")
    mask = ndimage.binary_fill_holes(np.any([one.array != 0 for one in placed.values()], axis=0))  # type: ignore[attr-defined]  # scipy makes it lazily
    box: Box = box_around(mask, "but zeros")
    inside = mask[tuple(slice(low, high + 1) for low, high in box)]
    made = {
        name: _resampled(_normalised(within(one, box), inside, plan, number), plan)
        for number, (name, one) in enumerate(placed.items())
    }
    return replace(prepared, placed={**prepared.placed, **made})


def _turned(placed: Placed, plan: Plan) -> Placed:
    to_old = np.zeros((4, 4))
    to_old[3, 3] = 1.0
    for new, old in enumerate(plan.axes):
        to_old[old, new] = 1.0
    return placed.moved(placed.array.transpose(plan.axes), to_old)


def _normalised(placed: Placed, inside: Values, plan: Plan, number: int) -> Placed:
    values, density = placed.values.astype(np.float32, copy=True), plan.densities[number]
    if density is not None:
        values = (np.clip(values, density.low, density.high) - density.mean) / density.deviation
    elif plan.schemes[number] == "ZScoreNormalization":
        counted = inside if plan.masked[number] else np.ones_like(inside)
        mean, deviation = float(values[counted].mean()), max(float(values[counted].std()), 1e-8)
        values[counted] = (values[counted] - mean) / deviation
    elif plan.schemes[number] != "NoNormalization":
        values = values - values.min()
        values = values / max(float(values.max()), 1e-8)
    return placed.with_array(values.astype(np.float32, copy=False))


def _resampled(placed: Placed, plan: Plan) -> Placed:
    old = placed.spacing_mm
    new = plan.spacing_mm if plan.dimensions == 3 else (old[0], *plan.spacing_mm)
    sizes = [max(1, round(was / now * size)) for was, now, size in zip(old, new, placed.shape, strict=True)]
    shape = sizes[0], sizes[1], sizes[2]
    apart = _apart(old) if max(old) / min(old) > ANISOTROPIC else _apart(new)
    back = _apart(new) if max(new) / min(new) > ANISOTROPIC else _apart(old)
    placed = replace(placed, apart=back)
    if apart is None:
        return resize(placed, shape=shape, interpolation=BSPLINE)
    within_slices = [0 if axis == apart else size for axis, size in enumerate(shape)]
    across = [size if axis == apart else 0 for axis, size in enumerate(shape)]
    cubic = resize(placed, shape=(within_slices[0], within_slices[1], within_slices[2]), interpolation=BSPLINE)
    return resize(cubic, shape=(across[0], across[1], across[2]), interpolation=NEAREST)


def _apart(spacing: tuple[float, ...]) -> int | None:
    """The one axis along which voxels are more than three times as long as along the shortest."""
    longest = [axis for axis, mm in enumerate(spacing) if mm == max(spacing)]
    return longest[0] if max(spacing) / min(spacing) > ANISOTROPIC and len(longest) == 1 else None
