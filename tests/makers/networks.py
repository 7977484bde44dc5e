"""Models without code as folders: a card, and a small network whose answer is known."""

import hashlib
import io
import warnings
from collections.abc import Mapping
from pathlib import Path

import safetensors.torch
import torch

from ai.networks.architectures import build

BRIGHT_ABOVE = 0.5
"""The network of `bright` says 1 where a voxel's value is above this, 0 where it is not."""

SEGMENT = """
[[segment]]
key = "bright"
label = "Bright"
category = ["85756007", "SCT", "Tissue"]
type = ["85756007", "SCT", "Tissue"]
site = ["39607008", "SCT", "Lung"]
colour = "#4fa8e8"
"""

UNET: dict[str, object] = {"spatial_dims": 3, "in_channels": 1, "out_channels": 2, "channels": [4, 8], "strides": [2]}


class Bright(torch.nn.Module):
    """Two channels: BRIGHT_ABOVE, and the value itself."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([torch.zeros_like(x) + 0.5, x], dim=1)


def exported(network: torch.nn.Module, image: torch.Tensor) -> bytes:
    """image: (2, channels, …); the number of images in a batch stays free."""
    made = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        free = ({0: torch.export.Dim("batch", min=1, max=64)},)
        torch.export.save(torch.export.export(network, (image,), dynamic_shapes=free), made)
    return made.getvalue()


def scripted(network: torch.nn.Module) -> bytes:
    made = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.script(network), made)
    return made.getvalue()


def unet_weights(parameters: Mapping[str, object] = UNET) -> bytes:
    """Random ones, always the same."""
    torch.manual_seed(0)
    return safetensors.torch.save(build("unet", parameters).state_dict())


def write_model(
    folder: Path,
    content: bytes,
    network: str,
    *,
    name: str = "",
    findings: str = SEGMENT,
    modality: str = "CT",
    weights: str = "model.bin",
    chains: str = '[[finish]]\nstep = "argmax"\n',
    more: str = "",
) -> Path:
    """A folder called as the model. network: the lines of [network], without its file. Returns the folder."""
    folder.mkdir(parents=True)
    (folder / weights).parent.mkdir(parents=True, exist_ok=True)
    (folder / weights).write_bytes(content)
    (folder / "card.toml").write_text(
        f"""
name = "{name or folder.name}"
version = "1.0.0"
vendor = "Tests"
title = "A network for tests"
intended_use = "None"
licence = "Apache-2.0"
memory_mb = 500
timeout_s = 60
reference = "image"
{more}
[[input]]
name = "image"
modality = "{modality}"
orientations = ["axial", "coronal", "sagittal", "oblique"]

[network]
weights = "{weights}"
sha256 = "{hashlib.sha256(content).hexdigest()}"
{network}

{chains}
{findings}
""",
        encoding="utf-8",
    )
    return folder


def write_bright(folder: Path, network: str = "", **more: str) -> Path:
    """The model that finds what is brighter than BRIGHT_ABOVE, as TorchScript."""
    lines = f'kind = "torchscript"\nfinds = "segments"\n{network}'
    return write_model(folder, scripted(Bright()), lines, **more)
