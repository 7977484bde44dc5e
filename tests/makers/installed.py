"""A package with a model, as somebody else brings it: installed beside the node, found by its entry point."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

DOING = """
import os, resource, signal, time
from contextlib import contextmanager
from pathlib import Path
import numpy as np
from ai.card import read_card
from ai.findings import Findings, Measurement, Segment

class Doing:
    def __init__(self):
        self.card = read_card(Path(__file__).parent / "card.toml")

    @contextmanager
    def open(self, device):
        yield self.predict

    def predict(self, inputs):
        {does}

MODEL = Doing()
"""
"""A model with code whose prediction is the line, or lines joined by semicolons, put in place of `does`."""
PAGE = Path(__file__).parents[2] / "docs" / "extend" / "model-with-code.md"


@contextmanager
def installed_model(folder: Path, name: str, source: str) -> Iterator[Path]:
    """A module `name` whose MODEL every process that starts meanwhile finds, with the card of the docs' example.

    Yields the folder of the module and its `card.toml`.
    """
    described = folder / f"{name}-1.0.dist-info"
    described.mkdir(parents=True)
    (described / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (described / "entry_points.txt").write_text(f"[isocenter.models]\n{name} = {name}:MODEL\n")
    (folder / f"{name}.py").write_text(source)
    card = PAGE.read_text().partition("```toml\n")[2].partition("```")[0]
    (folder / "card.toml").write_text(card.replace('name = "bone"', f'name = "{name}"'))
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("PYTHONPATH", f"{folder}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
        yield folder
