"""A prediction has a thread of its own: what a model sets for its thread is not there for the next one's."""

import ctypes
import json
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from ai.contract import ModelCard, Predict
from ai.device import Device
from ai.exchange import save_inputs
from ai.findings import Findings
from ai.models.lung_ct import MODEL
from ai.volume import Inputs, Volume
from node.core.job import Stage
from node.jobs.inference import Inference
from node.jobs.predicting import Predicting
from node.jobs.runner import Assignment
from tests.makers.ledger import books

UPWARDS = 0x800
"""FE_UPWARD of x86-64 (fenv.h)."""


class Setting:
    """Says which state of its thread it finds, and leaves it otherwise."""

    def __init__(self) -> None:
        self.card: ModelCard = MODEL.card

    @contextmanager
    def open(self, _device: Device) -> Iterator[Predict]:
        yield self.predict

    def predict(self, _inputs: Inputs) -> Findings:
        library = ctypes.CDLL("libm.so.6")
        seen = [library.fegetround(), torch.is_autocast_enabled("cpu"), np.geterr()["over"], torch.is_grad_enabled()]
        library.fesetround(UPWARDS)
        torch.autocast("cpu", torch.bfloat16).__enter__()
        torch.set_grad_enabled(False)
        np.seterr(over="raise")
        return Findings(summary=(json.dumps(seen),))


def predicted(made: Predicting, found: Any, folder: Path) -> str:
    folder.mkdir()
    job = SimpleNamespace(id="j1", model="lung-ct")
    made.of_model()[Stage.INFER].do(Assignment(job, found.clock(), folder.parent / "in", None, folder))
    summary: str = json.loads((folder / "findings.json").read_text())["summary"][0]
    return summary


def test_what_a_model_sets_for_its_thread_ends_with_its_prediction(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    save_inputs(Inputs({"ct": Volume(np.zeros((1, 1, 1)), None, None)}, "ct"), tmp_path / "in")
    models = {"lung-ct": Setting()}
    with books(tmp_path) as found, closing(Inference(models, Device())) as inference:
        made = Predicting(models, inference)
        first, second = (predicted(made, found, tmp_path / name) for name in ("one", "two"))

    assert first == second


def test_what_is_raised_comes_to_the_runner(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    save_inputs(Inputs({"ct": Volume(np.zeros((1, 1, 1)), None, None)}, "ct"), tmp_path / "in")
    model = Setting()
    model.predict = lambda _inputs: sys.exit(3)  # type: ignore[method-assign]
    with books(tmp_path) as found, closing(Inference({"lung-ct": model}, Device())) as inference:
        made = Predicting({"lung-ct": model}, inference)
        with pytest.raises(SystemExit):
            predicted(made, found, tmp_path / "one")
