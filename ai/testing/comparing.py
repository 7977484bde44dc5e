"""Says where two findings of the same patient differ, in whatever order of voxels each was found."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ai.findings import Detection, Findings, Mask
from ai.testing.samples import View


@dataclass(frozen=True)
class Tolerance:
    """dice: of regions, at least. share: by which numbers may differ (probabilities and scores: by it; volumes of
    values: on average, of their range). voxels: by which places may."""

    dice: float
    share: float
    voxels: float


EXACT = Tolerance(dice=1.0, share=1e-5, voxels=1e-3)
AS_SEEN = Tolerance(dice=0.98, share=0.02, voxels=1.0)
"""For the same patient in other voxels."""


def dice(a: Mask, b: Mask) -> float:
    """1 for two that are empty."""
    total = np.count_nonzero(a) + np.count_nonzero(b)
    return 2 * np.count_nonzero(a & b) / total if total else 1.0


def differences(found: Findings, expected: Findings, within: Tolerance, view: View | None) -> Iterator[str]:
    """A line for each. view: how the images were turned in which `found` was found; None: not at all."""
    for one in expected.segments:
        other = found.segment(one.key)
        overlap = dice(one.mask, view.back(other.mask) if view else other.mask) if other else 0.0
        if overlap < within.dice:
            yield f"segment {one.key}: Dice {overlap:.3f}"
    numbers = {(one.key, *one.segments): one.value for one in found.measurements}
    for measured in expected.measurements:
        value = numbers.get((measured.key, *measured.segments), np.inf)
        if abs(value - measured.value) > within.share * max(abs(measured.value), 1e-6):
            yield f"measurement {measured.key}: {value:.6g}, was {measured.value:.6g}"
    chances = {one.key: one.probability for one in found.classifications}
    for classified in expected.classifications:
        chance = chances.get(classified.key, np.inf)
        if abs(chance - classified.probability) > within.share:
            yield f"classification {classified.key}: {chance:.4f}, was {classified.probability:.4f}"
    yield from _of_volumes(found, expected, within, view)
    yield from _of_detections(found, expected, within, view)


def _of_volumes(found: Findings, expected: Findings, within: Tolerance, view: View | None) -> Iterator[str]:
    values = {("map", one.key): one.values for one in found.maps}
    values |= {("derived series", one.key): one.values for one in found.derived}
    wanted = {("map", one.key): one.values for one in expected.maps}
    wanted |= {("derived series", one.key): one.values for one in expected.derived}
    for (what, key), one in wanted.items():
        other = values.get((what, key))
        if other is None:
            yield f"{what} {key}: not there"
            continue
        away = float(np.abs((view.back(other) if view else other) - one).mean()) / max(float(np.ptp(one)), 1e-6)
        if away > within.share:
            yield f"{what} {key}: {away:.2%} of its range away, on average"


def _of_detections(found: Findings, expected: Findings, within: Tolerance, view: View | None) -> Iterator[str]:
    if len(found.detections) != len(expected.detections):
        yield f"{len(found.detections)} detections, were {len(expected.detections)}"
        return
    left = [(one, _corners(one, view)) for one in found.detections]
    for one in expected.detections:
        corners = _corners(one, None)
        alike = [(float(np.abs(at - corners).max()), n) for n, (other, at) in enumerate(left) if other.key == one.key]
        away, nearest = min(alike, default=(np.inf, -1))
        if away > within.voxels:
            where = ", ".join(f"{place:.1f}" for place in corners.mean(axis=0))
            yield f"detection {one.key} at (slice, row, column) {where}: the nearest lies {away:.1f} voxels away"
            continue
        other, _ = left.pop(nearest)
        if abs((one.score or 0.0) - (other.score or 0.0)) > within.share:
            yield f"detection {one.key}: score {other.score or 0.0:.4f}, was {one.score or 0.0:.4f}"


def _corners(one: Detection, view: View | None) -> np.ndarray:
    points = view.places_back(one.points, one.grid) if view else one.points
    return np.stack([points.min(axis=0), points.max(axis=0)])
