"""One study is loaded while another is computed, and never are two computed at once."""

import contextlib
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import numpy as np

from ai.contract import InParts, ModelCard, Predict
from ai.device import Device
from ai.findings import Findings, Segment
from ai.models.lung_ct import MODEL
from ai.volume import Inputs, Volume
from node.jobs.inference import Inference

ONE, TWO = (Inputs({"ct": Volume(np.full((1, 1, 1), value), None, None)}, "ct") for value in (0, 1))
INPUTS = Inputs({"ct": Volume(np.zeros((1, 1, 1)), None, None)}, "ct")


def found(inference: Inference, *asked: Any) -> Findings:
    with inference.predicted("lung-ct", *asked) as findings:
        return findings


class Watched:
    """Its first study computes until the second is loaded; without overlap neither would end."""

    def __init__(self) -> None:
        self.card: ModelCard = MODEL.card
        self.loaded = threading.Semaphore(0)
        self.computing = 0
        self.most = 0

    @contextmanager
    def open(self, _device: Device) -> Iterator[Predict]:
        yield InParts(self.load, self.compute, lambda _said: Findings())

    def load(self, inputs: Inputs) -> Inputs:
        self.loaded.release()
        return inputs

    def compute(self, _loaded: Inputs) -> None:
        self.computing += 1
        self.most = max(self.most, self.computing)
        for _ in range(2):
            assert self.loaded.acquire(timeout=20)
        self.loaded.release(2)
        self.computing -= 1


def test_the_next_study_is_loaded_while_the_device_computes() -> None:
    model = Watched()
    inference = Inference({"lung-ct": model}, Device())

    with ThreadPoolExecutor(2) as threads:
        both = [threads.submit(found, inference, INPUTS) for _ in range(2)]
        assert [one.result(timeout=30) for one in both] == [Findings(), Findings()]

    assert model.most == 1
    inference.close()


class Patient:
    """Computes until another study waits for the device: each tells that it waits for the model, and for the device."""

    def __init__(self) -> None:
        self.card: ModelCard = MODEL.card
        self.told = threading.Semaphore(0)

    @contextmanager
    def open(self, _device: Device) -> Iterator[Predict]:
        yield self.predict

    @contextmanager
    def waiting(self) -> Iterator[None]:
        self.told.release()
        yield

    def predict(self, _inputs: Inputs) -> Findings:
        for _ in range(4):
            assert self.told.acquire(timeout=20)
        self.told.release(4)
        return Findings()


def test_whoever_limits_a_studys_time_is_told_that_it_waits() -> None:
    model = Patient()
    inference = Inference({"lung-ct": model}, Device())

    with ThreadPoolExecutor(2) as threads:
        both = [threads.submit(found, inference, INPUTS, model.waiting) for _ in range(2)]
        assert [one.result(timeout=30) for one in both] == [Findings(), Findings()]

    inference.close()


class Thrifty:
    """Writes every study's mask into the same array."""

    def __init__(self) -> None:
        self.card: ModelCard = MODEL.card
        self.mask = np.zeros((1, 1, 1), dtype=np.bool_)

    @contextmanager
    def open(self, _device: Device) -> Iterator[Predict]:
        yield self.predict

    def predict(self, inputs: Inputs) -> Findings:
        self.mask[:] = inputs.reference_volume.array > 0
        return Findings(segments=(Segment("right-lung", self.mask, "ct"),))


def test_a_model_that_uses_its_arrays_again_does_not_write_one_studys_findings_into_anothers() -> None:
    inference = Inference({"lung-ct": Thrifty()}, Device())
    began = threading.Event()

    def second() -> bool:
        began.set()
        with inference.predicted("lung-ct", TWO) as findings:
            return bool(findings.segments[0].mask.any())

    with ThreadPoolExecutor(1) as threads:
        with inference.predicted("lung-ct", ONE) as findings:
            other = threads.submit(second)
            assert began.wait(20)
            with contextlib.suppress(TimeoutError):
                other.result(timeout=0.5)  # as long as a save may take
            assert not findings.segments[0].mask.any()
        assert other.result(timeout=20)

    inference.close()
