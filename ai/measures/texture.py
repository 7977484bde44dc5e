"""Grey level co-occurrence in a segment (IBSI 3.6): 3D, distance 1, symmetric, directions merged into one matrix."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product

import numpy as np
import numpy.typing as npt

from ai.errors import ModelFailed
from ai.measures.region import Region
from ai.measures.table import MOST_GREY_LEVELS

Levels = npt.NDArray[np.int64]
Shares = npt.NDArray[np.float64]

DIRECTIONS = tuple(one for one in product((-1, 0, 1), repeat=3) if one > (0, 0, 0))
"""One of each pair of opposite neighbours; the matrix is made symmetric afterwards."""


@dataclass(frozen=True)
class GreyLevels:
    """How values become grey levels from 1 on: a fixed number of bins of each segment, or bins of a fixed width.

    count: the number of bins between the segment's smallest and largest value. width, start: the width of a bin and
    where the first begins, in units of the image. Give count, or width and start.
    """

    count: int | None = None
    width: float | None = None
    start: float | None = None

    def of(self, region: Region) -> Levels:
        """Grey levels, (slices, rows, columns); 0 outside the segment. Raises ModelFailed where they are too many."""
        inside = region.inside
        if self.width is not None:
            first = inside.min() if self.start is None else self.start
            found = np.floor((inside - first) / self.width).clip(min=0) + 1
            if found.max() > MOST_GREY_LEVELS:
                raise ModelFailed(
                    f"[[measure]]: grey_level_width = {self.width:g} makes {found.max():.0f} grey levels of a segment "
                    f"whose values reach from {inside.min():g} to {inside.max():g}, more than {MOST_GREY_LEVELS}: "
                    "give wider bins"
                )
        else:
            count, extent = self.count or 1, np.ptp(inside)
            shares = (inside - inside.min()) / extent if extent else np.zeros_like(inside)
            found = np.minimum(np.floor(count * shares) + 1, count)
        levels = np.zeros(region.mask.shape, np.int64)
        levels[region.mask] = found
        return levels


def cooccurrence(levels: Levels) -> Shares:
    """How often each pair of grey levels lies side by side, as shares of all pairs: (levels, levels), symmetric.

    levels: from 1 on, 0 outside, with an empty border. All zeros where no two voxels are neighbours.
    """
    size = int(levels.max()) + 1
    counts = np.zeros(size * size, np.int64)
    for direction in DIRECTIONS:
        here, there = levels[_shifted(direction, -1)], levels[_shifted(direction, 1)]
        counts += np.bincount((here * size + there).ravel(), minlength=size * size)
    pairs = counts.reshape(size, size)[1:, 1:]
    both = (pairs + pairs.T).astype(np.float64)
    return both / both.sum() if both.any() else both


def _shifted(direction: tuple[int, ...], sign: int) -> tuple[slice, ...]:
    """The part of an array that has a neighbour in a direction (sign -1), or is one (sign 1)."""
    ends = [(max(0, sign * step), min(0, sign * step)) for step in direction]
    return tuple(slice(first, last or None) for first, last in ends)


def texture(shares: Shares) -> Mapping[str, float]:
    """Features of a co-occurrence matrix by key; empty where it is."""
    if not shares.any():
        return {}
    size = len(shares)
    level = np.arange(1, size + 1, dtype=np.float64)
    i, j = level[:, None], level[None, :]
    apart = np.abs(i - j)
    lone = shares.sum(axis=1)
    mean = float(level @ lone)
    variance = float((level - mean) ** 2 @ lone)
    differences = _summed(apart, shares, size)
    sums = _summed(i + j, shares, 2 * size + 1)
    steps, totals = np.arange(size), np.arange(2 * size + 1)
    difference_mean, cluster = float(steps @ differences), i + j - 2 * mean
    return {
        "glcm-joint-maximum": float(shares.max()),
        "glcm-joint-average": mean,
        "glcm-joint-variance": variance,
        "glcm-joint-entropy": _entropy(shares),
        "glcm-difference-average": difference_mean,
        "glcm-difference-variance": float((steps - difference_mean) ** 2 @ differences),
        "glcm-difference-entropy": _entropy(differences),
        "glcm-sum-average": 2 * mean,
        "glcm-sum-variance": float((totals - 2 * mean) ** 2 @ sums),
        "glcm-sum-entropy": _entropy(sums),
        "glcm-angular-second-moment": float((shares**2).sum()),
        "glcm-contrast": float((apart**2 * shares).sum()),
        "glcm-dissimilarity": float((apart * shares).sum()),
        "glcm-inverse-difference": float((shares / (1 + apart)).sum()),
        "glcm-inverse-difference-normalised": float((shares / (1 + apart / size)).sum()),
        "glcm-inverse-difference-moment": float((shares / (1 + apart**2)).sum()),
        "glcm-inverse-difference-moment-normalised": float((shares / (1 + (apart / size) ** 2)).sum()),
        "glcm-inverse-variance": float((differences[1:] / steps[1:] ** 2).sum()),
        "glcm-correlation": float(((i - mean) * (j - mean) * shares).sum()) / variance if variance else np.nan,
        "glcm-autocorrelation": float((i * j * shares).sum()),
        "glcm-cluster-tendency": float((cluster**2 * shares).sum()),
        "glcm-cluster-shade": float((cluster**3 * shares).sum()),
        "glcm-cluster-prominence": float((cluster**4 * shares).sum()),
        **_information(shares, lone),
    }


def _summed(places: Shares, shares: Shares, size: int) -> Shares:
    """The sum of the shares at each place from 0 to size - 1."""
    return np.bincount(places.astype(np.int64).ravel(), shares.ravel(), size).astype(np.float64)


def _information(shares: Shares, lone: Shares) -> Mapping[str, float]:
    """How much one neighbour's level tells of the other's."""
    single, joint = _entropy(lone), _entropy(shares)
    expected = np.outer(lone, lone)
    there = expected > 0
    crossed = -float((shares[there] * np.log2(expected[there])).sum())
    independent = _entropy(expected)
    return {
        "glcm-information-correlation-1": (joint - crossed) / single if single else np.nan,
        "glcm-information-correlation-2": float(np.sqrt(max(0.0, 1 - np.exp(-2 * (independent - joint))))),
    }


def _entropy(shares: Shares) -> float:
    """In bits."""
    there = shares[shares > 0]
    return -float((there * np.log2(there)).sum())
