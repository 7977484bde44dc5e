"""Writes what a training gave as a model's folder: the files beside its plan, with the weights and their digest."""

import hashlib
import os
import shutil
from collections.abc import Mapping
from pathlib import Path

import safetensors.torch
import tomlkit
import torch

from ai.networks.declared import NetworkCard
from ai.networks.model import CARD


def write_bundle(template: Path, network: NetworkCard, weights: Mapping[str, torch.Tensor], out: Path) -> None:
    """Write the model's folder `out`, whole or not at all; one of that name is replaced.

    template: the folder of the card, whose other files go along. Weights are stored as float16, which halves the file;
    they are evaluated as they are stored.
    """
    aside = out.with_name(out.name + ".part")
    shutil.rmtree(aside, ignore_errors=True)
    shutil.copytree(template, aside, ignore=shutil.ignore_patterns("__pycache__", network.weights.name))
    content = safetensors.torch.save({key: value.half().contiguous() for key, value in sorted(weights.items())})
    file = aside / network.weights.relative_to(template)
    file.parent.mkdir(parents=True, exist_ok=True)
    _write(file, content)
    card = tomlkit.parse((aside / CARD).read_text(encoding="utf-8"))
    card["network"]["sha256"] = hashlib.sha256(content).hexdigest()
    _write(aside / CARD, tomlkit.dumps(card).encode())
    shutil.rmtree(out, ignore_errors=True)
    aside.replace(out)


def _write(file: Path, content: bytes) -> None:
    with file.open("wb") as opened:
        opened.write(content)
        opened.flush()
        os.fsync(opened.fileno())
