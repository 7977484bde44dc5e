"""Networks that a card may name: which class builds each, and the type of every parameter it takes."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from ai.errors import CardInvalid

if TYPE_CHECKING:
    from torch import nn

Parameter = int | float | bool | str | list[object] | dict[str, object]


class Kind(Enum):
    """What a parameter may be in a card. A text is one of few words, or a name of a layer: never a path or code."""

    INT = "a whole number"
    FLOAT = "a number"
    BOOL = "true or false"
    TEXT = "a text"
    INTS = "a list of whole numbers"
    INT_LISTS = "a list of whole numbers, or of lists of them"
    LAYER = 'a text, or a list of a text and a table, such as ["instance", {affine = true}]'


@dataclass(frozen=True)
class Architecture:
    """`place`: module and class. `parameters`: those that a card may set; the others keep the class's default."""

    place: str
    parameters: Mapping[str, Kind]


_CHANNELS = {"spatial_dims": Kind.INT, "in_channels": Kind.INT, "out_channels": Kind.INT}

ARCHITECTURES: Mapping[str, Architecture] = {
    "unet": Architecture(
        "monai.networks.nets.unet:UNet",
        {
            **_CHANNELS,
            "channels": Kind.INTS,
            "strides": Kind.INT_LISTS,
            "kernel_size": Kind.INT_LISTS,
            "up_kernel_size": Kind.INT_LISTS,
            "num_res_units": Kind.INT,
            "act": Kind.LAYER,
            "norm": Kind.LAYER,
            "dropout": Kind.FLOAT,
            "bias": Kind.BOOL,
            "adn_ordering": Kind.TEXT,
        },
    ),
    "basic-unet": Architecture(
        "monai.networks.nets.basic_unet:BasicUNet",
        {
            **_CHANNELS,
            "features": Kind.INTS,
            "act": Kind.LAYER,
            "norm": Kind.LAYER,
            "bias": Kind.BOOL,
            "dropout": Kind.FLOAT,
            "upsample": Kind.TEXT,
        },
    ),
    "dynunet": Architecture(
        "monai.networks.nets.dynunet:DynUNet",
        {
            **_CHANNELS,
            "kernel_size": Kind.INT_LISTS,
            "strides": Kind.INT_LISTS,
            "upsample_kernel_size": Kind.INT_LISTS,
            "filters": Kind.INTS,
            "norm_name": Kind.LAYER,
            "act_name": Kind.LAYER,
            "deep_supervision": Kind.BOOL,
            "deep_supr_num": Kind.INT,
            "res_block": Kind.BOOL,
            "trans_bias": Kind.BOOL,
        },
    ),
    "segresnet": Architecture(
        "monai.networks.nets.segresnet:SegResNet",
        {
            **_CHANNELS,
            "init_filters": Kind.INT,
            "blocks_down": Kind.INTS,
            "blocks_up": Kind.INTS,
            "act": Kind.LAYER,
            "norm": Kind.LAYER,
            "use_conv_final": Kind.BOOL,
            "upsample_mode": Kind.TEXT,
        },
    ),
    "unetr": Architecture(
        "monai.networks.nets.unetr:UNETR",
        {
            **_CHANNELS,
            "img_size": Kind.INTS,
            "feature_size": Kind.INT,
            "hidden_size": Kind.INT,
            "mlp_dim": Kind.INT,
            "num_heads": Kind.INT,
            "proj_type": Kind.TEXT,
            "norm_name": Kind.LAYER,
            "conv_block": Kind.BOOL,
            "res_block": Kind.BOOL,
        },
    ),
    "swin-unetr": Architecture(
        "monai.networks.nets.swin_unetr:SwinUNETR",
        {
            **_CHANNELS,
            "feature_size": Kind.INT,
            "depths": Kind.INTS,
            "num_heads": Kind.INTS,
            "norm_name": Kind.LAYER,
            "use_v2": Kind.BOOL,
        },
    ),
    "densenet121": Architecture(
        "monai.networks.nets.densenet:DenseNet121",
        {**_CHANNELS, "init_features": Kind.INT, "growth_rate": Kind.INT, "block_config": Kind.INTS},
    ),
    "densenet": Architecture(
        "monai.networks.nets.densenet:DenseNet",
        {
            **_CHANNELS,
            "init_features": Kind.INT,
            "growth_rate": Kind.INT,
            "block_config": Kind.INTS,
            "bn_size": Kind.INT,
            "act": Kind.LAYER,
            "norm": Kind.LAYER,
        },
    ),
    "resnet": Architecture(
        "monai.networks.nets.resnet:ResNet",
        {
            "spatial_dims": Kind.INT,
            "n_input_channels": Kind.INT,
            "num_classes": Kind.INT,
            "block": Kind.TEXT,
            "layers": Kind.INTS,
            "block_inplanes": Kind.INTS,
            "conv1_t_size": Kind.INT,
            "conv1_t_stride": Kind.INT,
            "no_max_pool": Kind.BOOL,
            "shortcut_type": Kind.TEXT,
            "bias_downsample": Kind.BOOL,
        },
    ),
}
"""Names of cards, and MONAI's classes (monai 1.5 and later)."""


def check_architecture(name: str, parameters: Mapping[str, object], where: str) -> None:
    """Raises CardInvalid where a card names no network of the table, or a parameter of another type or name."""
    found = ARCHITECTURES.get(name)
    if found is None:
        raise CardInvalid(f"{where}: architecture {name!r} is unknown; known are {', '.join(sorted(ARCHITECTURES))}")
    for key, value in parameters.items():
        kind = found.parameters.get(key)
        if kind is None:
            known = ", ".join(sorted(found.parameters))
            raise CardInvalid(f"{where}: {name} has no parameter {key!r}; a card may set {known}")
        if not _fits(value, kind):
            raise CardInvalid(f"{where}: {name}.{key} must be {kind.value}, found {value!r}")


def build(name: str, parameters: Mapping[str, object]) -> "nn.Module":
    """The network with random weights. Raises CardInvalid where its class refuses the parameters."""
    import importlib

    module, _, attribute = ARCHITECTURES[name].place.partition(":")
    constructor = getattr(importlib.import_module(module), attribute)
    try:
        network: nn.Module = constructor(**parameters)
    except (TypeError, ValueError, KeyError, AssertionError, NotImplementedError) as error:
        raise CardInvalid(f"{name} cannot be built with the card's parameters: {error}") from error
    return network


def _fits(value: object, kind: Kind) -> bool:
    match kind:
        case Kind.INT:
            return _is_int(value)
        case Kind.FLOAT:
            return isinstance(value, int | float) and not isinstance(value, bool)
        case Kind.BOOL:
            return isinstance(value, bool)
        case Kind.TEXT:
            return isinstance(value, str)
        case Kind.INTS:
            return isinstance(value, list) and all(_is_int(one) for one in value)
        case Kind.INT_LISTS:
            many = isinstance(value, list) and all(_is_int(one) or _fits(one, Kind.INTS) for one in value)
            return _is_int(value) or many
        case Kind.LAYER:
            pair = isinstance(value, list) and len(value) == 2
            return isinstance(value, str) or (
                pair and isinstance(value, list) and isinstance(value[0], str) and isinstance(value[1], dict)
            )


def _is_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
