"""Steps that segment without a network: labels, 0 being background, as a chain's last step."""

import numpy as np
import numpy.typing as npt

from ai.errors import ModelRefused
from ai.findings import Mask
from ai.preparation.filters import sobel
from ai.preparation.images import Spacing, Values, array_of, image_of, itk

Labels = npt.NDArray[np.uint8]
LEVELS = 4096
"""Bins in which k-means counts values: the means are exact to the bin."""
OUTLIERS = (0.5, 99.5)
"""Percentiles between which k-means starts, so that metal and air at the rim take no mean for themselves."""


def between(values: Values, *, low: float | None, high: float | None) -> Labels:
    """1 from one value to another, both included."""
    return _labels(_within(values, low, high))


def multi_otsu(values: Values, *, classes: int, bins: int) -> Labels:
    """Classes that differ most from each other (Otsu 1979), 0 the darkest."""
    _check_varied(values)
    return array_of(itk.OtsuMultipleThresholds(image_of(values), classes - 1, 0, bins)).astype(np.uint8)


def otsu(values: Values, *, bins: int) -> Labels:
    """1 above the threshold that parts dark from bright best."""
    return multi_otsu(values, classes=2, bins=bins)


def k_means(values: Values, *, classes: int, iterations: int) -> Labels:
    """Classes by the nearest of as many means (Lloyd 1982), 0 the darkest; the means start evenly spaced."""
    _check_varied(values)
    counts, edges = np.histogram(values, bins=LEVELS)
    middles = (edges[:-1] + edges[1:]) / 2
    low, high = np.percentile(values, OUTLIERS)
    means = low + (high - low) * (np.arange(classes) + 0.5) / classes
    for _ in range(iterations):
        nearest = np.searchsorted((means[:-1] + means[1:]) / 2, middles)
        weights = np.bincount(nearest, counts, classes)
        moved = np.where(weights > 0, np.bincount(nearest, counts * middles, classes) / np.maximum(weights, 1), means)
        if np.array_equal(moved, means):
            break
        means = moved
    return np.searchsorted((means[:-1] + means[1:]) / 2, values).astype(np.uint8)


def region_growing(
    values: Values, *, low: float | None, high: float | None, seed_low: float | None, seed_high: float | None
) -> Labels:
    """1 from low to high wherever faces join it to a voxel from seed_low to seed_high."""
    room = _within(values, low, high)
    seeds = room & _within(values, seed_low, seed_high)
    grown = itk.BinaryReconstructionByDilation(image_of(seeds), image_of(room), 0.0, 1.0, False)
    return _labels(array_of(grown) > 0)


def watershed(values: Values, spacing_mm: Spacing, *, below: float, above: float) -> Labels:
    """1 where floods of the gradient from all above a value meet those from all below another (Beucher 1993)."""
    markers = np.where(values > above, 2, np.where(values < below, 1, 0)).astype(np.uint8)
    relief = image_of(sobel(values, spacing_mm))
    flooded = itk.MorphologicalWatershedFromMarkers(relief, image_of(markers), False, False)
    return _labels(array_of(flooded) == 2)


def level_set(
    values: Values, spacing_mm: Spacing, *, low: float, high: float, curvature: float, iterations: int
) -> Labels:
    """1 inside a smooth surface that grows through values from low to high and shrinks elsewhere (Lefohn 2003)."""
    start = _within(values, low, high)
    if not start.any() or start.all():
        return _labels(start)
    distance = itk.SignedMaurerDistanceMap(image_of(start, spacing_mm), True, False, True)
    feature = image_of(values, spacing_mm)
    moved = itk.ThresholdSegmentationLevelSet(distance, feature, low, high, 0.001, 1.0, curvature, iterations, True)
    return _labels(array_of(moved) > 0)


def components(values: Values, *, above: float, count: int) -> Labels:
    """The largest pieces above a value, each a label of its own, largest first."""
    pieces = itk.RelabelComponent(itk.ConnectedComponent(image_of(values > above)))
    labels = array_of(pieces)
    return np.where(labels <= count, labels, 0).astype(np.uint8)


def _within(values: Values, low: float | None, high: float | None) -> Mask:
    found = np.ones(values.shape, dtype=np.bool_)
    if low is not None:
        found &= values >= low
    if high is not None:
        found &= values <= high
    return found


def _labels(mask: Mask) -> Labels:
    return mask.astype(np.uint8)


def _check_varied(values: Values) -> None:
    if not values.max() > values.min():
        raise ModelRefused("the images are the same everywhere")
