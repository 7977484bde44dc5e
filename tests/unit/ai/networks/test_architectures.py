"""The table of networks agrees with MONAI, and a card can set nothing that is not in it."""

import importlib
import inspect

import pytest

from ai.errors import CardInvalid
from ai.networks.architectures import ARCHITECTURES, build, check_architecture


@pytest.mark.parametrize("name", sorted(ARCHITECTURES))
def test_every_parameter_is_one_of_the_class(name: str) -> None:
    module, _, attribute = ARCHITECTURES[name].place.partition(":")
    signature = inspect.signature(getattr(importlib.import_module(module), attribute))
    takes_others = any(one.kind is inspect.Parameter.VAR_KEYWORD for one in signature.parameters.values())

    unknown = set(ARCHITECTURES[name].parameters) - set(signature.parameters)

    assert not unknown or takes_others, unknown


UNET = {"spatial_dims": 3, "in_channels": 1, "out_channels": 2, "channels": [4, 8], "strides": [2]}


def test_a_network_is_built_from_a_card() -> None:
    check_architecture("unet", UNET, "card")

    assert sum(one.numel() for one in build("unet", UNET).parameters()) > 100


@pytest.mark.parametrize(
    ("name", "parameters", "words"),
    [
        ("os.system", {}, "is unknown; known are"),
        ("unet", {**UNET, "dimensions": 3}, "has no parameter 'dimensions'"),
        ("unet", {**UNET, "spatial_dims": "3"}, "must be a whole number"),
        ("unet", {**UNET, "channels": "4"}, "list of whole numbers"),
        ("unet", {**UNET, "spatial_dims": True}, "must be a whole number"),
        ("segresnet", {"norm": ["group"]}, "a text, or a list"),
    ],
)
def test_what_the_table_does_not_hold_is_refused(name: str, parameters: dict[str, object], words: str) -> None:
    with pytest.raises(CardInvalid, match=words):
        check_architecture(name, parameters, "card")


def test_parameters_that_contradict_each_other_are_a_fault_of_the_card() -> None:
    with pytest.raises(CardInvalid, match="cannot be built"):
        build("unet", {**UNET, "strides": [2, 2, 2, 2], "channels": [4]})
