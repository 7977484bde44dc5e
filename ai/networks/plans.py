"""What nnU-Net v2 planned and trained: plans.json and dataset.json beside its checkpoints, read and judged."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ai.errors import CardInvalid

PLANS, DATASET = FILES = ("plans.json", "dataset.json")
LARGEST_BYTES = 64 << 20
NETWORKS = frozenset({"PlainConvUNet", "ResidualEncoderUNet"})
"""Of dynamic_network_architectures.architectures.unet: what nnU-Net's own planners plan."""
LAYERS = frozenset(
    {
        *(f"torch.nn.modules.conv.Conv{n}d" for n in (2, 3)),
        *(f"torch.nn.modules.instancenorm.InstanceNorm{n}d" for n in (2, 3)),
        *(f"torch.nn.modules.batchnorm.BatchNorm{n}d" for n in (2, 3)),
        *(f"torch.nn.modules.dropout.Dropout{n}d" for n in (2, 3)),
        "torch.nn.LeakyReLU",
        "torch.nn.ReLU",
    }
)
"""Classes that a plan may name as a parameter."""
SCHEMES = frozenset(
    {
        "CTNormalization",
        "ZScoreNormalization",
        "NoNormalization",
        "RescaleTo01Normalization",
        "RescaleTo0_1Normalization",
    }
)

PREPROCESSOR, RESAMPLING = "DefaultPreprocessor", "resample_data_or_seg_to_shape"
RESAMPLED = {"order": 3, "order_z": 0, "force_separate_z": None}
"""How nnU-Net prepares images where its plan says nothing else; a plan may name others, which are not made here."""


@dataclass(frozen=True)
class Density:
    """CTNormalization of one channel: clipped from low to high, less the mean, by the deviation."""

    mean: float
    deviation: float
    low: float
    high: float


@dataclass(frozen=True)
class Plan:
    """One configuration of a plan.

    spacing_mm, patch: along the axes after `axes` permuted them; two where dimensions is 2. schemes, masked: how each
    channel is normalised, and whether over what is not zero alone. channels: of the output.
    """

    network: str
    parameters: Mapping[str, Any]
    layers: tuple[str, ...]
    axes: tuple[int, int, int]
    spacing_mm: tuple[float, ...]
    patch: tuple[int, ...]
    schemes: tuple[str, ...]
    masked: tuple[bool, ...]
    densities: tuple[Density | None, ...]
    channels: int

    @property
    def dimensions(self) -> int:
        return len(self.patch)


def plan_files(folder: Path) -> list[Path]:
    """The files that decide what an nnU-Net model does, beside its weights; none of another model."""
    return [folder / name for name in FILES if (folder / name).is_file()]


def read_plan(folder: Path, configuration: str) -> Plan:
    """The configuration of that name. Raises CardInvalid, naming file and key."""
    plans, dataset = (_json(folder / name) for name in FILES)
    where = f"{folder / PLANS}: configuration {configuration!r}"
    try:
        found = _plan(plans, dataset, _resolved(plans["configurations"], configuration), where)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise CardInvalid(f"{where}: cannot be read: {type(error).__name__} {error}") from error
    return found


def _plan(plans: dict[str, Any], dataset: dict[str, Any], one: dict[str, Any], where: str) -> Plan:
    if one.get("previous_stage"):
        raise CardInvalid(f"{where}: needs the result of another configuration; install '3d_fullres' or '3d_lowres'")
    if "architecture" not in one:
        raise CardInvalid(f"{where}: is of nnU-Net before 2.4, without an architecture; plan it again with a later one")
    kwargs, layers = dict(one["architecture"]["arch_kwargs"]), tuple(one["architecture"]["_kw_requires_import"])
    network = str(one["architecture"]["network_class_name"]).rpartition(".")[2]
    strange = {str(kwargs[key]) for key in layers if kwargs[key] is not None} - LAYERS
    if network not in NETWORKS or strange:
        raise CardInvalid(f"{where}: builds {min(strange or {network})!r}, which is not among what a plan may build")
    schemes = tuple(str(name) for name in one["normalization_schemes"])
    if set(schemes) - SCHEMES:
        raise CardInvalid(f"{where}: normalises by {min(set(schemes) - SCHEMES)!r}, which is not known here")
    _check_preparation(one, where)
    densities = plans.get("foreground_intensity_properties_per_channel") or {}
    regions = dataset.get("regions_class_order")
    axes = [int(axis) for axis in plans["transpose_forward"]]
    if sorted(axes) != [0, 1, 2]:
        raise CardInvalid(f"{where}: transpose_forward is no order of three axes: {axes}")
    return Plan(
        network=network,
        parameters=kwargs,
        layers=layers,
        axes=(axes[0], axes[1], axes[2]),
        spacing_mm=tuple(float(mm) for mm in one["spacing"]),
        patch=tuple(int(size) for size in one["patch_size"]),
        schemes=schemes,
        masked=tuple(bool(flag) for flag in one["use_mask_for_norm"]),
        densities=tuple(
            _density(densities[str(number)]) if name == "CTNormalization" else None
            for number, name in enumerate(schemes)
        ),
        channels=len(regions) if regions else sum(name != "ignore" for name in dataset["labels"]),
    )


def _check_preparation(one: dict[str, Any], where: str) -> None:
    """Raises CardInvalid where images come to the network otherwise than here: it would find something else in them."""
    given = {
        "preprocessor_name": (one.get("preprocessor_name", PREPROCESSOR), PREPROCESSOR),
        "resampling_fn_data": (one.get("resampling_fn_data", RESAMPLING), RESAMPLING),
        **{
            f"resampling_fn_data_kwargs: {key}": (one.get("resampling_fn_data_kwargs", {}).get(key, usual), usual)
            for key, usual in RESAMPLED.items()
        },
    }
    strange = [f"{key} is {found!r}" for key, (found, usual) in given.items() if found != usual]
    if strange:
        raise CardInvalid(f"{where}: {strange[0]}: images are not prepared in that way here, and it cannot be run")


def _density(given: dict[str, Any]) -> Density:
    keys = ("mean", "std", "percentile_00_5", "percentile_99_5")
    mean, deviation, low, high = (float(given[key]) for key in keys)
    return Density(mean, max(deviation, 1e-8), low, high)


def _resolved(configurations: dict[str, Any], name: str, depth: int = 0) -> dict[str, Any]:
    """A configuration with what it inherits from others."""
    if depth > len(configurations):
        raise ValueError("configurations inherit from each other in a circle")
    one = dict(configurations[name])
    if "inherits_from" in one:
        one = {**_resolved(configurations, str(one["inherits_from"]), depth + 1), **one}
    return one


def _json(file: Path) -> dict[str, Any]:
    if file.is_symlink() or not file.is_file() or file.stat().st_size > LARGEST_BYTES:
        raise CardInvalid(f"{file}: an nnU-Net model has this file, of at most {LARGEST_BYTES >> 20} MiB")
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise CardInvalid(f"{file}: is not JSON: {error}") from error
    if not isinstance(found, dict):
        raise CardInvalid(f"{file}: must hold one object")
    return found
