"""A worker in which a model has altered what others compute with is renewed before the next job."""

import os
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import ndimage

from ai.device import Device
from ai.findings import Findings
from ai.masks import mask_from
from ai.volume import Inputs, Volume
from node.jobs.inference import Inference
from tests.makers.models import Told
from tests.unit.results.made import CARD

INPUTS = Inputs({"ct": Volume(np.zeros((1, 2, 3)), None, None)}, "ct")


@pytest.fixture(autouse=True)
def as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the models of these tests replace is put back."""
    monkeypatch.setattr(np, "mean", np.mean)
    monkeypatch.setattr(ndimage, "zoom", ndimage.zoom)
    monkeypatch.setattr("ai.masks.mask_from", mask_from)
    monkeypatch.setenv("ISOCENTER_TEST", "1")
    monkeypatch.chdir(".")
    mask = os.umask(0o22)
    os.umask(mask)
    precision = torch.get_float32_matmul_precision()
    with warnings.catch_warnings():
        warnings.resetwarnings()
        yield
    torch.set_float32_matmul_precision(precision)
    os.umask(mask)


def put_in(module: str, name: str) -> Callable[[], None]:
    return lambda: setattr(__import__(module, fromlist=["x"]), name, max)


ALTERS: dict[str, Callable[[], object]] = {
    "numpy.mean": put_in("numpy", "mean"),
    "scipy.ndimage.zoom": put_in("scipy.ndimage", "zoom"),
    "ai.masks.mask_from": put_in("ai.masks", "mask_from"),
    "working directory": lambda: os.chdir("/"),
    "umask": lambda: os.umask(0o777),
    "environment variable ISOCENTER_TEST": lambda: os.environ.update(ISOCENTER_TEST="2"),
    "filter of warnings": lambda: warnings.simplefilter("error"),
    "setting torch.get_float32_matmul_precision": lambda: torch.set_float32_matmul_precision("medium"),
}


@pytest.mark.parametrize("what", ALTERS)
def test_what_a_model_alters_for_others_is_seen(what: str) -> None:
    """With another numpy.mean the next model measured other numbers, and nobody knew."""

    def predict(_inputs: Inputs) -> Findings:
        ALTERS[what]()
        return Findings()

    inference = Inference({"lung-ct": Told(CARD, predict)}, Device())
    with inference.predicted("lung-ct", INPUTS):
        pass

    assert inference.growth.is_suspected
    assert inference.growth.verdict() == f"after model lung-ct its process has another {what} than before"


def test_what_is_put_back_or_added_is_no_reason(tmp_path: Path) -> None:
    """As a library does while it is loaded, or a test within a model."""

    def predict(_inputs: Inputs) -> Findings:
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(np, "mean", max)
            patched.chdir(tmp_path)
        os.environ["ISOCENTER_ADDED"] = "1"
        warnings.filterwarnings("error", category=DeprecationWarning)
        return Findings()

    inference = Inference({"lung-ct": Told(CARD, predict)}, Device())
    for _ in range(2):
        with inference.predicted("lung-ct", INPUTS):
            pass
    del os.environ["ISOCENTER_ADDED"]

    assert not inference.growth.is_suspected
