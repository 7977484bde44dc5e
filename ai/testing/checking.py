"""Checks a model against what every model promises; each verdict says what was seen and what to mend."""

import sysconfig
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np

from ai.agreement import check_findings
from ai.contract import Model, Predict
from ai.device import Device
from ai.errors import ModelError, ModelFailed, ModelRefused
from ai.findings import Findings
from ai.memory import begin_peak, peak_mb, used_mb
from ai.preparation.pipeline import prepare
from ai.preparation.restoring import restore_mask
from ai.step import Family
from ai.testing.comparing import AS_SEEN, EXACT, Tolerance, dice, differences
from ai.testing.samples import View, moved, unsuitable, views
from ai.volume import Inputs

SHIFT_MM = (137.25, -48.5, 311.75)
BACK_DICE, BACK_VOXELS = 0.98, 0.5
OPENING = "opening"
NOTHING = "nothing, so that what follows says little: give a study in which it finds something"


@dataclass(frozen=True)
class Verdict:
    """One property of a model. seen: what was found; mend: what to do where it does not hold, else empty."""

    name: str
    holds: bool
    seen: str
    mend: str = ""


Begin = Callable[[str], None]
"""Told the name of a property before it is looked at: where a model hangs, that is where it hung."""
Said = Findings | BaseException
Attempt = Callable[[Inputs], Said]
"""A prediction that gives what the model's code raises in place of its findings."""
T = TypeVar("T")


def check_model(
    model: Model, samples: Sequence[Inputs], device: Device, begin: Begin = lambda _name: None
) -> Iterator[Verdict]:
    """Every property in turn. samples: inputs that the model should take; the first that it takes is used.

    Whatever opening or a prediction raises is a verdict, with its place in the model's code. Nothing ends a model that
    hangs: check_apart does.
    """
    begin(OPENING)
    with ThreadPoolExecutor(1) as thread, ExitStack() as opened:
        predict = _outcome(thread, lambda: opened.enter_context(model.open(device)))
        if isinstance(predict, BaseException):
            yield Verdict(OPENING, holds=False, seen=in_words(predict), mend="mend what the message names")
            return
        yield from _properties(model, partial(_said, thread, predict), samples, begin)


def _outcome(thread: Executor, call: Callable[[], T]) -> T | BaseException:
    """What a stranger's code gives, or what it raises, whatever that is."""
    called = thread.submit(call)
    return called.exception() or called.result()


def _said(thread: Executor, predict: Predict, inputs: Inputs) -> Said:
    return _outcome(thread, lambda: predict(inputs))


def _properties(model: Model, predict: Attempt, samples: Sequence[Inputs], begin: Begin) -> Iterator[Verdict]:
    yield from _refuses(predict, samples[0], begin)
    taken = None
    for sample in samples:
        begin("findings")
        taken, verdict = _finds(model, predict, sample)
        if taken is not None or sample is samples[-1]:
            yield verdict
        if taken is not None:
            break
    if taken is None:
        return
    sample, findings, grown_mb, seconds = taken
    yield _within("memory", grown_mb, model.card.memory_mb, "MB", "memory_mb")
    yield _within("time", seconds, model.card.timeout_s, "s", "timeout_s")
    begin("determinism")
    mend = "seed or remove what is random, sum in one order; until then, nothing can be said of place and orientation"
    again = _compared("determinism", predict(sample), findings, mend)
    yield again
    if model.card.prepare:
        begin("geometry there and back")
        yield _there_and_back(model, sample)
    if again.holds and sample.reference_volume.affine_lps is not None:
        begin("place")
        mend = "findings must not depend on where the table stood"
        yield _compared("place", predict(moved(sample, SHIFT_MM)), findings, mend)
        yield from _orientations(model, predict, sample, findings, begin)


def in_words(fault: BaseException) -> str:
    """What was raised and where: the innermost line of code that is neither Python's own nor an installed library's."""
    words = f"{type(fault).__name__}: {fault}" if str(fault) else type(fault).__name__
    if isinstance(fault, ModelError):
        return words
    libraries = tuple({sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")})
    frames = traceback.extract_tb(fault.__traceback__)
    own = [one for one in frames if not one.filename.startswith((*libraries, "<"))]
    place = (own or frames)[-1]
    return f"{words} ({Path(place.filename).name}, line {place.lineno}, in {place.name})"


Taken = tuple[Inputs, Findings, int | None, float]


def _finds(model: Model, predict: Attempt, sample: Inputs) -> tuple[Taken | None, Verdict]:
    process = Device()
    is_told, before_mb, start = begin_peak(process), used_mb(process), time.monotonic()
    found = predict(sample)
    seconds, grown_mb = time.monotonic() - start, peak_mb(process) - before_mb if is_told else None
    match found:
        case ModelRefused():
            mend = "give a study that it should take: isocenter models check NAME FOLDER"
            return None, Verdict("findings", holds=False, seen=f"it refused every sample; the last: {found}", mend=mend)
        case BaseException():
            return None, Verdict("findings", holds=False, seen=in_words(found), mend="mend what the message names")
    try:
        check_findings(found, model, sample)
    except ModelFailed as failed:
        return None, Verdict("findings", holds=False, seen=str(failed), mend="mend what the message names")
    seen = _counted(found) if _any(found) or found.measurements else NOTHING
    return (sample, found, grown_mb, seconds), Verdict("findings", holds=True, seen=seen)


def _counted(findings: Findings) -> str:
    parts = [
        (findings.segments, "segment", "segments"),
        (findings.measurements, "measurement", "measurements"),
        (findings.detections, "detection", "detections"),
        (findings.classifications, "classification", "classifications"),
        (findings.maps, "map", "maps"),
        (findings.derived, "derived series", "derived series"),
    ]
    counted = [f"{len(found)} {one if len(found) == 1 else many}" for found, one, many in parts if found]
    return ", ".join(counted) or "nothing"


def _refuses(predict: Attempt, sample: Inputs, begin: Begin) -> Iterator[Verdict]:
    for what, inputs in unsuitable(sample):
        name = f"refusal of {what}"
        begin(name)
        found = predict(inputs)
        if isinstance(found, ModelRefused):
            yield Verdict(name, holds=True, seen=str(found))
            continue
        if isinstance(found, BaseException):
            yield Verdict(name, holds=False, seen=in_words(found), mend="raise ModelRefused, with the reason")
            continue
        empty = what == "the same value everywhere" and not _any(found)
        mend = "" if empty else "raise ModelRefused where the input is unsuitable, before anything is computed"
        yield Verdict(name, holds=empty, seen="found nothing" if empty else _counted(found), mend=mend)


def _any(findings: Findings) -> bool:
    return bool(
        any(one.mask.any() for one in findings.segments)
        or findings.detections
        or findings.classifications
        or findings.maps
        or findings.derived
    )


def _within(name: str, found: float | None, declared: int, unit: str, key: str) -> Verdict:
    if found is None:
        return Verdict(name, holds=True, seen="not measured: this system does not tell")
    holds = found <= declared
    mend = "" if holds else f"declare {key} = {int(found * 1.25) + 1} in the card, or need less"
    return Verdict(name, holds=holds, seen=f"{found:.3g} {unit} of {declared} {unit} declared", mend=mend)


def _orientations(
    model: Model, predict: Attempt, sample: Inputs, expected: Findings, begin: Begin
) -> Iterator[Verdict]:
    mend = 'begin the card\'s chain with step = "orient", or turn the axes by the affine before anything else'
    for view in views(sample, model.card):
        name = f"orientation: {view.name}"
        begin(name)
        yield _compared(name, predict(view.inputs), expected, mend, AS_SEEN, view)


def _compared(
    name: str, found: Said, expected: Findings, mend: str, within: Tolerance = EXACT, view: View | None = None
) -> Verdict:
    if isinstance(found, BaseException):
        return Verdict(name, holds=False, seen=in_words(found), mend=mend)
    differing = list(differences(found, expected, within, view))
    return Verdict(name, holds=not differing, seen="; ".join(differing) or "the same", mend=mend if differing else "")


def _there_and_back(model: Model, sample: Inputs) -> Verdict:
    """A ball in the middle of the prepared grid, of a third of its size: on the source grid, against its formula."""
    geometry = tuple(one for one in model.card.prepare if one.step.family is not Family.SEGMENTATION)
    try:
        prepared = prepare(sample, geometry)
    except ModelError as error:
        return Verdict(
            "geometry there and back", holds=False, seen=str(error), mend="mend the card's [[prepare]] chain"
        )
    placed = prepared.placed[prepared.reference]
    centre = placed.to_source[:3, :3] @ ((np.array(placed.shape) - 1) / 2) + placed.to_source[:3, 3]
    scale = np.linalg.norm(placed.to_source[:3, :3] @ np.diag(placed.shape), axis=1) / 3
    radius = np.maximum(scale, 1e-6)

    def distance(matrix: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        index = np.indices(shape).reshape(3, -1)
        away = (matrix[:3, :3] @ index + matrix[:3, 3:] - centre[:, None]) / radius[:, None]
        found: np.ndarray = np.sqrt((away**2).sum(axis=0)).reshape(shape)
        return found

    soft = np.clip(1.5 - distance(placed.to_source, placed.shape), 0, 1)
    back = restore_mask(prepared, soft)
    truth = distance(np.eye(4), back.shape) <= 1
    overlap = dice(back, truth)
    away = [float(abs(np.mean(a) - np.mean(b))) for a, b in zip(np.nonzero(back), np.nonzero(truth), strict=True)]
    holds = overlap >= BACK_DICE and max(away) < BACK_VOXELS
    seen = f"Dice {overlap:.3f}, centroid {max(away):.2f} voxels away"
    mend = "" if holds else "the chain cuts off too much of the image, or its voxels are too coarse to come back"
    return Verdict("geometry there and back", holds=holds, seen=seen, mend=mend)
