"""Checks a model against what every model promises; each verdict says what was seen and what to mend."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ai.agreement import check_findings
from ai.contract import Model, Predict
from ai.device import Device
from ai.errors import ModelError, ModelFailed, ModelRefused
from ai.findings import Findings, Mask
from ai.preparation.pipeline import prepare
from ai.preparation.restoring import restore_mask
from ai.step import Family
from ai.testing.memory import PeakMemory
from ai.testing.samples import moved, unsuitable, views
from ai.volume import Inputs

SAME_DICE, SAME_SHARE = 0.98, 0.02
"""Findings agree where regions overlap so far and numbers differ by no more than this share (probabilities: by it)."""
SHIFT_MM = (137.25, -48.5, 311.75)
BACK_DICE, BACK_VOXELS = 0.98, 0.5


@dataclass(frozen=True)
class Verdict:
    """One property of a model. seen: what was found; mend: what to do where it does not hold, else empty."""

    name: str
    holds: bool
    seen: str
    mend: str = ""


def check_model(model: Model, samples: Sequence[Inputs], device: Device) -> Iterator[Verdict]:
    """Every property in turn. samples: inputs that the model should take; the first that it takes is used.

    Raises what opening the model raises. What a prediction raises on purpose is a verdict; anything else is a fault of
    its code and gets out.
    """
    with model.open(device) as predict:
        yield from _refuses(predict, samples[0])
        taken = None
        for sample in samples:
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
        yield _same("determinism", predict, sample, findings, "seed or remove what is random, sum in one order")
        if model.card.prepare:
            yield _there_and_back(model, sample)
        if sample.reference_volume.affine_lps is not None:
            yield _same(
                "place", predict, moved(sample, SHIFT_MM), findings, "findings must not depend on where the table stood"
            )
            yield from _orientations(model, predict, sample, findings)


Taken = tuple[Inputs, Findings, float | None, float]


def _finds(model: Model, predict: Predict, sample: Inputs) -> tuple[Taken | None, Verdict]:
    memory, start = PeakMemory(), time.monotonic()
    try:
        findings = predict(sample)
        seconds, grown_mb = time.monotonic() - start, memory.grown_mb()
        check_findings(findings, model, sample)
    except ModelRefused as refused:
        mend = "give a study that it should take: isocenter models check NAME FOLDER"
        return None, Verdict("findings", holds=False, seen=f"it refused every sample; the last: {refused}", mend=mend)
    except ModelFailed as failed:
        return None, Verdict("findings", holds=False, seen=str(failed), mend="mend what the message names")
    return (sample, findings, grown_mb, seconds), Verdict("findings", holds=True, seen=_counted(findings))


def _counted(findings: Findings) -> str:
    parts = {
        "segments": findings.segments, "measurements": findings.measurements, "detections": findings.detections,
        "classifications": findings.classifications, "maps": findings.maps, "derived series": findings.derived,
    }  # fmt: skip
    return ", ".join(f"{len(found)} {what}" for what, found in parts.items() if found) or "nothing"


def _refuses(predict: Predict, sample: Inputs) -> Iterator[Verdict]:
    for what, inputs in unsuitable(sample):
        name = f"refusal of {what}"
        try:
            findings = predict(inputs)
        except ModelRefused as refused:
            yield Verdict(name, holds=True, seen=str(refused))
            continue
        except ModelError as failed:
            yield Verdict(name, holds=False, seen=f"failed: {failed}", mend="raise ModelRefused, with the reason")
            continue
        empty = what == "the same value everywhere" and not _any(findings)
        mend = "" if empty else "raise ModelRefused where the input is unsuitable, before anything is computed"
        yield Verdict(name, holds=empty, seen="found nothing" if empty else _counted(findings), mend=mend)


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


def _same(name: str, predict: Predict, inputs: Inputs, expected: Findings, mend: str) -> Verdict:
    """Exactly the same findings."""
    try:
        found = predict(inputs)
    except ModelError as error:
        return Verdict(name, holds=False, seen=f"{type(error).__name__}: {error}", mend=mend)
    differing = list(_differences(found, expected, lambda mask: mask, dice=1.0, share=1e-5))
    return Verdict(name, holds=not differing, seen="; ".join(differing) or "the same", mend=mend if differing else "")


def _orientations(model: Model, predict: Predict, sample: Inputs, expected: Findings) -> Iterator[Verdict]:
    mend = 'begin the card\'s chain with step = "orient", or turn the axes by the affine before anything else'
    for view in views(sample, model.card):
        name = f"orientation: {view.name}"
        try:
            found = predict(view.inputs)
        except ModelError as error:
            yield Verdict(name, holds=False, seen=f"{type(error).__name__}: {error}", mend=mend)
            continue
        differing = list(_differences(found, expected, view.back, dice=SAME_DICE, share=SAME_SHARE))
        yield Verdict(
            name, holds=not differing, seen="; ".join(differing) or "the same", mend=mend if differing else ""
        )


def _differences(
    found: Findings, expected: Findings, back: Callable[[Mask], Mask], *, dice: float, share: float
) -> Iterator[str]:
    for one in expected.segments:
        other = found.segment(one.key)
        overlap = _dice(one.mask, back(other.mask)) if other else 0.0
        if overlap < dice:
            yield f"segment {one.key}: Dice {overlap:.3f}"
    numbers = {(one.key, *one.segments): one.value for one in found.measurements}
    for measured in expected.measurements:
        value = numbers.get((measured.key, *measured.segments), np.inf)
        if abs(value - measured.value) > share * max(abs(measured.value), 1e-6):
            yield f"measurement {measured.key}: {value:.6g}, was {measured.value:.6g}"
    chances = {one.key: one.probability for one in found.classifications}
    for classified in expected.classifications:
        chance = chances.get(classified.key, np.inf)
        if abs(chance - classified.probability) > share:
            yield f"classification {classified.key}: {chance:.4f}, was {classified.probability:.4f}"
    if len(found.detections) != len(expected.detections):
        yield f"{len(found.detections)} detections, were {len(expected.detections)}"


def _dice(a: Mask, b: Mask) -> float:
    total = np.count_nonzero(a) + np.count_nonzero(b)
    return 2 * np.count_nonzero(a & b) / total if total else 1.0


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
    overlap = _dice(back, truth)
    away = [float(abs(np.mean(a) - np.mean(b))) for a, b in zip(np.nonzero(back), np.nonzero(truth), strict=True)]
    holds = overlap >= BACK_DICE and max(away) < BACK_VOXELS
    seen = f"Dice {overlap:.3f}, centroid {max(away):.2f} voxels away"
    mend = "" if holds else "the chain cuts off too much of the image, or its voxels are too coarse to come back"
    return Verdict("geometry there and back", holds=holds, seen=seen, mend=mend)
