"""A MONAI bundle as its makers publish it, with a small network: a spleen's configuration in all but size."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from monai.networks import nets

from tests.makers.networks import SEGMENT, write_model

NETWORK: dict[str, Any] = {
    "_target_": "UNet",
    "spatial_dims": 3,
    "in_channels": 1,
    "out_channels": 2,
    "channels": [4, 8],
    "strides": [2],
    "norm": "batch",
}


def configuration() -> dict[str, Any]:
    """configs/inference.json, with all that surrounds inference in the field: files, evaluators, loaders of pickles."""
    image = "image"
    return {
        "imports": ["$import glob", "$import os"],
        "bundle_root": ".",
        "dataset_dir": "/workspace/data",
        "datalist": "$list(sorted(glob.glob(@dataset_dir + '/imagesTs/*.nii.gz')))",
        "device": "$torch.device('cuda:0' if torch.cuda.is_available() else 'cpu')",
        "pixdim": [2.0, 2.0, 2.0],
        "network_def": dict(NETWORK),
        "network": "$@network_def.to(@device)",
        "preprocessing": {
            "_target_": "Compose",
            "transforms": [
                {"_target_": "LoadImaged", "keys": image},
                {"_target_": "EnsureChannelFirstd", "keys": image},
                {"_target_": "Orientationd", "keys": image, "axcodes": "RAS"},
                {"_target_": "Spacingd", "keys": image, "pixdim": "@pixdim", "mode": "bilinear"},
                {
                    "_target_": "ScaleIntensityRanged",
                    "keys": image,
                    "a_min": -57,
                    "a_max": "$150 + 14",
                    "b_min": 0,
                    "b_max": 1,
                    "clip": True,
                },
                {"_target_": "EnsureTyped", "keys": image, "device": "@device"},
            ],
        },
        "inferer": {
            "_target_": "SlidingWindowInferer",
            "roi_size": [16, 16, 16],
            "sw_batch_size": 4,
            "overlap": 0.5,
        },
        "postprocessing": {
            "_target_": "Compose",
            "transforms": [
                {"_target_": "Activationsd", "keys": "pred", "softmax": True},
                {
                    "_target_": "Invertd",
                    "keys": "pred",
                    "transform": "@preprocessing",
                    "orig_keys": image,
                    "nearest_interp": False,
                    "to_tensor": True,
                },
                {"_target_": "AsDiscreted", "keys": "pred", "argmax": True},
                {"_target_": "SaveImaged", "keys": "pred", "output_dir": "eval"},
            ],
        },
        "checkpointloader": {"_target_": "CheckpointLoader", "load_path": "$@bundle_root + '/models/model.pt'"},
        "evaluator": {"_target_": "SupervisedEvaluator", "network": "@network", "inferer": "@inferer"},
        "run": ["$@evaluator.run()"],
    }


def network(definition: Mapping[str, Any] = NETWORK) -> "torch.nn.Module":
    """The bundle's network, its weights always the same."""
    torch.manual_seed(4)
    made = getattr(nets, definition["_target_"])
    return made(**{key: value for key, value in definition.items() if key != "_target_"}).eval()


def write_bundle(
    folder: Path,
    content: dict[str, Any] | None = None,
    *,
    trusted: bool = False,
    lines: str = 'finds = "segments"\n',
    findings: str = SEGMENT,
    definition: Mapping[str, Any] = NETWORK,
) -> Path:
    """The bundle's folder, with a card that names what it finds. definition: of the network with its weights."""
    written = json.dumps(content or configuration(), indent=1)
    lines = f'kind = "bundle"\n{lines}'
    if trusted:
        lines += f'trusted = "{hashlib.sha256(written.encode()).hexdigest()}"\n'
    weights = safetensors.torch.save(network(definition).state_dict())
    write_model(folder, weights, lines, weights="models/model.safetensors", chains="", findings=findings)
    (folder / "configs").mkdir()
    (folder / "configs" / "inference.json").write_text(written)
    (folder / "configs" / "metadata.json").write_text(json.dumps({"version": "0.1.0", "name": folder.name}))
    return folder
