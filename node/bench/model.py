"""The model stage, timed: what lies around the network, windows beside MONAI's, and how busy a device is kept."""

import os
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import numpy as np

from ai.contract import Model
from ai.device import Device, best_device
from ai.exchange import load_inputs, save_findings, save_inputs
from ai.networks.timing import TimedModel, bright, card, network_card, time_gpu, time_windows
from ai.volume import Facts, Inputs, Volume
from node.bench.figures import Case, Side
from node.errors import IsocenterError
from node.jobs.inference import Inference

STUDY, STUDY_MM = (300, 512, 512), (1.0, 0.7, 0.7)
SMALL, SMALL_MM = (32, 64, 64), (2.0, 1.0, 1.0)
SPACING_MM = 1.5
AROUND_S, OVERHEAD_S, BUSY, NETWORK_S, QUEUE = 3.0, 0.050, 0.90, 5.0, 10
"""What the figures should be: at most, at most, at least; of a network of so many seconds, and so many studies."""


def run_model_figures(rounds: int, say: Callable[[str], None]) -> Iterator[Case]:
    """Every case, each as soon as it is measured; the target stands as the other side where nobody else is compared."""
    threads = os.cpu_count() or 1
    say("windows beside MONAI's")
    windows = time_windows(rounds, threads, (96, 128, 128), (64, 64, 64))
    if windows.largest_difference > 1e-4:
        raise IsocenterError(f"our windows differ from MONAI's by {windows.largest_difference}")
    theirs = Side("MONAI", windows.version, windows.monai)
    yield Case("sliding window", "s", 1.05, Side("Isocenter", "", windows.ours), theirs)
    say("around the network")
    large = TimedModel(card("around", spacing_mm=SPACING_MM), network_card(), bright)
    yield _beside("around the network, 300 × 512²", AROUND_S, _around(large, study(STUDY, STUDY_MM), rounds))
    small = TimedModel(card("small", spacing_mm=None), network_card(), bright)
    yield _beside("stage less the network, warm", OVERHEAD_S, _around(small, study(SMALL, SMALL_MM), rounds))
    say(f"a queue of {QUEUE}")
    slow = TimedModel(card("slow", spacing_mm=SPACING_MM), network_card(), lambda: bright(NETWORK_S))
    yield _beside("queue of 10, time per time computing", 1 / BUSY, (_queue(slow, study(STUDY, STUDY_MM)),), unit="")
    device = best_device(0, Device(threads=threads))
    for precision in ("fp32", "bf16") if device.kind == "cpu" else ():
        yield Case(f"U-Net of 20 M on a GPU, {precision}", "s", 1.0, skipped="there is no GPU that torch can use")
    if device.kind != "cpu":
        say("U-Net of 20 M parameters on the GPU")
        shape = tuple(round(size * mm / SPACING_MM) for size, mm in zip(STUDY, STUDY_MM, strict=True))
        for one in time_gpu(device, (shape[0], shape[1], shape[2])):
            words = f"{one.voxels_per_s / 1e6:.0f} M voxels/s, peak {one.peak_mb} MB"
            yield _beside(f"U-Net of 20 M on a GPU, {one.precision} ({words})", one.seconds, (one.seconds,))


def study(shape: tuple[int, int, int], spacing_mm: tuple[float, float, float]) -> Inputs:
    """A CT of noise around a bright ball."""
    axes = [np.linspace(-1, 1, size, dtype=np.float32) for size in shape]
    ball = sum(axis**2 for axis in np.meshgrid(*axes, indexing="ij", sparse=True)) < 0.5
    noise = np.random.default_rng(0).normal(0, 20, shape[1:]).astype(np.int16)
    array = np.where(ball, np.int16(400), np.int16(-200)) + noise
    affine = np.zeros((4, 4))
    affine[[2, 1, 0], [0, 1, 2]], affine[3, 3] = spacing_mm, 1.0
    return Inputs({"ct": Volume(array, affine, spacing_mm, Facts(modality="CT"))}, "ct")


def _around(model: TimedModel, inputs: Inputs, rounds: int) -> tuple[float, ...]:
    """Seconds of the stage, from the prepared files to the findings' files, less the bare calls of the network."""
    found = []
    with tempfile.TemporaryDirectory(prefix="isocenter-model-") as folder, closing(_inference(model)) as inference:
        prepared = Path(folder) / "prepared"
        prepared.mkdir()
        save_inputs(inputs, prepared)
        for number in range(rounds + 1):
            out = Path(folder) / str(number)
            out.mkdir()
            model.inside_s.clear()
            start = time.perf_counter()
            with inference.predicted(model.card.name, load_inputs(prepared)) as findings:
                save_findings(findings, out)
            found.append(time.perf_counter() - start - sum(model.inside_s))
    return tuple(found[1:])


def _queue(model: TimedModel, inputs: Inputs) -> float:
    """Time of a queue of studies from the first call of the network to the last, as a multiple of that inside it."""
    with closing(_inference(model)) as inference, ThreadPoolExecutor(2) as threads:

        def compute() -> None:
            with inference.predicted(model.card.name, inputs):
                pass

        start = time.perf_counter()
        waiting = [threads.submit(compute) for _ in range(QUEUE)]
        for one in waiting:
            one.result()
        return (time.perf_counter() - start) / sum(model.inside_s)


def _inference(model: TimedModel) -> Inference:
    models: dict[str, Model] = {model.card.name: model}
    return Inference(models, Device(threads=os.cpu_count() or 1))


def _beside(name: str, target: float, runs: tuple[float, ...], *, unit: str = "s") -> Case:
    return Case(name, unit, 1.0, Side("Isocenter", "", runs), Side("target", "", (target,)))
