"""Opens a network's file, whichever of the kinds it is, as something that maps a batch of tensors to tensors."""

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from ai.errors import CardInvalid, shown
from ai.networks.architectures import build
from ai.networks.checkpoint import tensors_of
from ai.networks.declared import Kind, NetworkCard
from ai.networks.exported import open_exported
from ai.networks.portable import open_portable
from ai.networks.scripted import open_scripted
from ai.networks.weights import read_pinned

if TYPE_CHECKING:
    import torch
    from torch import nn

LONGEST_REASON = 1000
"""Characters: torch names every tensor of a stranger's file, as that calls them."""


def open_network(card: NetworkCard, threads: int = 2) -> "nn.Module":
    """The network on the processor, with the weights that the card pins, ready to predict.

    threads: how many of the processor's a network may use that is not computed by torch.

    Raises CardInvalid where the file is another than the pinned one, or does not fit what the card says of it.
    """
    content = read_pinned(card.weights, card.sha256)
    if card.kind is Kind.ONNX:
        return open_portable(content, card.weights.name, threads)
    network = _OPENERS[card.kind](card, content)
    if card.kind is not Kind.EXPORT:  # an exported network was fixed to predicting when it was exported
        network.eval()
    return network


def _with_weights(card: NetworkCard, content: bytes) -> "nn.Module":
    return load_weights(build(card.architecture, card.parameters), content, card.weights.name)


def load_weights(network: "nn.Module", content: bytes, name: str) -> "nn.Module":
    """Put the tensors of a safetensors file into a network: every one, and no other."""
    import safetensors
    import safetensors.torch

    try:
        tensors = safetensors.torch.load(content)
    except (safetensors.SafetensorError, ValueError, RuntimeError) as error:
        raise CardInvalid(f"{name}: is no whole safetensors file: {error}") from error
    return put_in(network, tensors, name)


def put_in(network: "nn.Module", tensors: "Mapping[str, torch.Tensor]", name: str) -> "nn.Module":
    """Put tensors into a network: every one, and no other. Raises CardInvalid where they are not its own."""
    real = {key for key, one in network.state_dict().items() if one.is_floating_point()}
    strange = [key for key, one in tensors.items() if key in real and not one.is_floating_point()]
    if strange:
        raise CardInvalid(
            f"{name}: its tensor {shown(strange[0])} holds {tensors[strange[0]].dtype}, and its network's real "
            "numbers: torch would cut them without a word"
        )
    try:
        network.load_state_dict(tensors, strict=True)
    except RuntimeError as error:
        words = "".join(one if one.isprintable() else " " for one in str(error)[:LONGEST_REASON])
        raise CardInvalid(f"{name}: its tensors are not those of the network that is named: {words}") from error
    return network


def _torchxrayvision(card: NetworkCard, content: bytes) -> "nn.Module":
    tensors = monai_names(tensors_of(content, card.weights.name))
    network = build("densenet121", {"spatial_dims": 2, "in_channels": 1, "out_channels": len(card.channels)})
    return put_in(network, tensors, card.weights.name)


def monai_names(tensors: "Mapping[str, torch.Tensor]") -> "dict[str, torch.Tensor]":
    """The weights of torchxrayvision's DenseNet under the names of MONAI's, which is the same network.

    Its operating points are left out: they are thresholds of the card.
    """
    renamed = {re.sub(r"(denselayer\d+)\.", r"\1.layers.", name): one for name, one in tensors.items()}
    return {
        name.replace("classifier.", "class_layers.out."): one for name, one in renamed.items() if name != "op_threshs"
    }


def _scripted(card: NetworkCard, content: bytes) -> "nn.Module":
    return open_scripted(content, card.weights.name)


def _exported(card: NetworkCard, content: bytes) -> "nn.Module":
    return open_exported(content, card.weights.name)


_OPENERS: "dict[Kind, Callable[[NetworkCard, bytes], nn.Module]]" = {
    Kind.SAFETENSORS: _with_weights,
    Kind.TORCHSCRIPT: _scripted,
    Kind.EXPORT: _exported,
    Kind.TORCHXRAYVISION: _torchxrayvision,
}
