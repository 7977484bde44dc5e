"""How good images are, as four scores from 0 (useless) to 1 (nothing to remark): noise, motion, artefact, coverage.

docs/extend/quality.md has each formula and what it cannot see. Arrays are (slices, rows, columns).
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ai.preparation.images import Array, Values, array_of, image_of, itk
from ai.volume import Volume

MOST_SLICES = 12
"""Slices, evenly spread, on which noise and artefacts are looked for."""
NOISE_USELESS = 0.15
"""Standard deviation of the noise, as a share of the image's range, at which nothing is left."""
MOTION_NONE, MOTION_USELESS = 0.75, 1.5
"""How a slice differs from the middle of its neighbours, as a multiple of how these differ from each other."""
ARTEFACT_USELESS = 0.005
"""Share of the voxels that are metal or at the end of the scale."""
METAL_HU, AIR_HU = 2500.0, -400.0
LEAST_AIR_MM2 = 2000.0
"""Less air than this on every slice is no lung."""
COARSE = 128
"""Rows and columns, about, in which air is followed to the body's edge."""
NAMES = ("noise", "motion", "artefact", "coverage")
BLOCK = 4
"""Voxels along rows and columns that are averaged before slices are compared."""


@dataclass(frozen=True)
class Quality:
    """Scores from 0 to 1, the higher the better; None where it cannot be told of such images."""

    noise: float | None
    motion: float | None
    artefact: float | None
    coverage: float | None

    @property
    def scores(self) -> dict[str, float]:
        """Those that could be told, by name."""
        return {name: value for name, value in vars(self).items() if value is not None}


def quality_of(volume: Volume) -> Quality:
    """The scores of one input, as it was read."""
    array, modality = volume.array, volume.facts.modality
    chosen = array[_spread(len(array), MOST_SLICES)].astype(np.float32)
    extent = float(np.subtract(*np.percentile(chosen[:, ::2, ::2], (99, 1))))
    if not np.isfinite(extent) or extent <= 0 or min(array.shape[1:]) < 2 * BLOCK:
        return Quality(None, None, None, None)
    sigma = noise_sd(chosen)
    return Quality(
        noise=_share_left(sigma / extent, 0.0, NOISE_USELESS),
        motion=_motion(array, sigma),
        artefact=_share_left(saturated(chosen, modality), 0.0, ARTEFACT_USELESS) if modality in ("CT", "MR") else None,
        coverage=_coverage(volume) if modality == "CT" else None,
    )


def noise_sd(values: Values) -> float:
    """Standard deviation of the noise, in units of the image: σ = median|v ∗ M| / (6 · 0.6745) over the brighter half
    of the range (over all where that is empty), with M = (1, −2, 1)ᵀ(1, −2, 1).

    M is blind to planes and to edges along an axis (Immerkær 1996, DOI 10.1006/cviu.1996.0060; the median of absolute
    values in place of their mean, as edges are few).
    """
    inner = values[:, 1:-1, 1:-1]
    low, high = np.percentile(inner[:, ::2, ::2], (1, 99))
    responses = [np.abs(_noise_response(plane)) for plane in values]  # by planes, which the processor's caches hold
    bright = [plane > (low + high) / 2 for plane in inner]
    chosen = np.concatenate([found[where] for found, where in zip(responses, bright, strict=True)])
    return float(np.median(chosen if chosen.size else responses)) / (6 * 0.6745)


def _noise_response(plane: Values) -> Values:
    """plane ∗ M where M fits, smaller by two rows and columns."""
    rows = plane[:-2] - 2 * plane[1:-1] + plane[2:]
    found: Values = rows[:, :-2] - 2 * rows[:, 1:-1] + rows[:, 2:]
    return found


def saturated(values: Values, modality: str | None) -> float:
    """Share of voxels at the largest value, or as dense as metal; a single largest voxel is no end of a scale."""
    top = float(values.max())
    if modality == "CT":
        top = min(top, METAL_HU)
    return max(0, int(np.count_nonzero(values >= top)) - 1) / values.size


def jumps(blocks: Values, sigma: float) -> float | None:
    """r = √(Σ(b_k − (b_k₋₁ + b_k₊₁)/2)² / Σ((b_k₊₁ − b_k₋₁)/2)²), less what noise of that standard deviation adds to
    both sums (3/2 and 1/2 σ² a voxel); None where slices do not differ.

    Slices that moved against both their neighbours raise the upper sum alone.
    """
    middle = blocks[1:-1] - (blocks[:-2] + blocks[2:]) / 2
    apart = (blocks[2:] - blocks[:-2]) / 2
    upper = float(np.square(middle).sum()) - 1.5 * sigma**2 * middle.size
    lower = float(np.square(apart).sum()) - 0.5 * sigma**2 * apart.size
    if lower <= 1e-6 * float(np.square(blocks - blocks.mean()).sum()):
        return None
    return float(np.sqrt(max(0.0, upper) / lower))


def cut_share(air_mm2: Array) -> float | None:
    """The larger of the first and the last area of enclosed air, as a share of the largest of all slices; None where
    none is as large as a lung."""
    most = float(air_mm2.max(initial=0.0))
    return None if most < LEAST_AIR_MM2 else float(max(air_mm2[0], air_mm2[-1])) / most


def _motion(array: Array, sigma: float) -> float | None:
    if len(array) < 5:
        return None
    rows, columns = (size // BLOCK * BLOCK for size in array.shape[1:])
    blocks = np.stack([_block_means(one[:rows, :columns]) for one in array])
    found = jumps(blocks, sigma / BLOCK)
    return None if found is None else _share_left(found, MOTION_NONE, MOTION_USELESS)


def _block_means(plane: Array) -> Values:
    """Means of blocks as sums of every so-manieth row, then column: several times faster than a mean over axes."""
    values = plane.astype(np.float32)
    rows = sum((values[k::BLOCK] for k in range(1, BLOCK)), start=values[::BLOCK])
    return sum((rows[:, k::BLOCK] for k in range(1, BLOCK)), start=rows[:, ::BLOCK]) / np.float32(BLOCK**2)


def _coverage(volume: Volume) -> float | None:
    if volume.spacing_mm is None or len(volume.array) < 3:
        return None
    cut = cut_share(np.array(list(_enclosed_air_mm2(volume.array, volume.spacing_mm))))
    return None if cut is None else round(1.0 - cut, 3)


def _enclosed_air_mm2(array: Array, spacing_mm: tuple[float, float, float]) -> Iterator[float]:
    """Of slices, evenly spread, the first and the last among them: the area of air that does not reach the edge."""
    step = max(1, min(array.shape[1:]) // COARSE)
    for k in _spread(len(array), MOST_SLICES):
        air = np.pad(array[k, ::step, ::step] < AIR_HU, 1, constant_values=True)
        outside = itk.ConnectedThreshold(image_of(air[None]), seedList=[(0, 0)], lower=1, upper=1)
        enclosed = np.count_nonzero(air) - np.count_nonzero(array_of(outside))
        yield enclosed * step**2 * spacing_mm[1] * spacing_mm[2]


def _spread(count: int, most: int) -> list[int]:
    """Indices, evenly spread, the first and the last among them."""
    return sorted({round(one) for one in np.linspace(0, count - 1, min(count, most))})


def _share_left(found: float, none: float, useless: float) -> float:
    return round(float(np.clip((useless - found) / (useless - none), 0.0, 1.0)), 3)
