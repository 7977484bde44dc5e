"""Steps of intensity: each value by itself or by the distribution of all, never by its neighbours or its place."""

import numpy as np

from ai.errors import ModelRefused
from ai.preparation.images import Values, array_of, image_of, itk
from ai.preparation.placed import Placed


def window(values: Values, *, low: float, high: float, out_low: float, out_high: float) -> Values:
    """Limit to a window and map it linearly."""
    scaled = np.clip(values, np.float32(low), np.float32(high))
    scaled -= np.float32(low)
    scaled *= np.float32((out_high - out_low) / (high - low))
    scaled += np.float32(out_low)
    return scaled


def clip(values: Values, *, low: float, high: float) -> Values:
    """Limit values, and leave those between as they are."""
    return np.clip(values, np.float32(low), np.float32(high))


def scale(values: Values, *, gain: float, offset: float) -> Values:
    """Multiply and add."""
    return values * np.float32(gain) + np.float32(offset)


def log(values: Values, *, offset: float) -> Values:
    """Natural logarithm; what is not above 0 after the offset counts as the smallest value above it."""
    shifted = values + np.float32(offset)
    above = shifted[shifted > 0]
    if not above.size:
        raise ModelRefused("no value of the images has a logarithm")
    logarithm: Values = np.log(np.maximum(shifted, above.min()))
    return logarithm


def gamma(values: Values, *, exponent: float) -> Values:
    """A power of values mapped to 0...1, mapped back to their range."""
    low, high = _range(values)
    raised: Values = np.power((values - low) / (high - low), np.float32(exponent)) * (high - low) + low
    return raised


def z_score(values: Values, *, mean: float | None, deviation: float | None, above: float | None) -> Values:
    """Subtract the mean and divide by the standard deviation, the given ones or those of the voxels above a value."""
    if mean is None or deviation is None:
        chosen = values if above is None else values[values > above]
        if not chosen.size:
            raise ModelRefused(f"no voxel of the images is above {above}")
        mean = float(chosen.mean(dtype=np.float64)) if mean is None else mean
        deviation = float(chosen.std(dtype=np.float64)) if deviation is None else deviation
    if not deviation > 0:
        raise ModelRefused("the images are the same everywhere")
    return (values - np.float32(mean)) * np.float32(1 / deviation)


def min_max(values: Values, *, out_low: float, out_high: float) -> Values:
    """Map the smallest value to one number and the largest to another."""
    low, high = _range(values)
    return window(values, low=float(low), high=float(high), out_low=out_low, out_high=out_high)


def percentile(values: Values, *, low: float, high: float, out_low: float, out_high: float) -> Values:
    """Limit to two percentiles and map them to two numbers."""
    first, last = np.percentile(values, (low, high))
    if not last > first:
        raise ModelRefused("the images are nearly the same everywhere: their percentiles are equal")
    return window(values, low=float(first), high=float(last), out_low=out_low, out_high=out_high)


def equalise(values: Values, *, bins: int) -> Values:
    """The share of voxels at or below each value, in so many bins."""
    low, high = _range(values)
    counts, edges = np.histogram(values, bins=bins, range=(float(low), float(high)))
    share = np.concatenate([[0.0], np.cumsum(counts)]) / values.size
    return np.interp(values, edges, share).astype(np.float32)


def clahe(values: Values, *, radius: tuple[int, int, int], alpha: float, beta: float) -> Values:
    """Contrast-limited adaptive equalisation in a window around each voxel (Stark 2000)."""
    low, high = _range(values)
    image = image_of((values - low) / (high - low))
    wide = [min(size, one) for one, size in zip(radius[::-1][: image.GetDimension()], image.GetSize(), strict=True)]
    made = itk.AdaptiveHistogramEqualization(image, wide, alpha, beta)
    return array_of(made).astype(np.float32) * (high - low) + low


def match_histogram(placed: Placed, *, to: Placed, levels: int, points: int, above_mean: bool) -> Placed:
    """Give the values the distribution of another input's (Nyul and Udupa 2000)."""
    made = itk.HistogramMatching(image_of(placed.values), image_of(to.values), levels, points, above_mean)
    return placed.with_array(array_of(made).astype(np.float32))


def monochrome1(values: Values) -> Values:
    """Mirror values within their range: bright becomes dark."""
    low, high = _range(values)
    return (low + high) - values


def suv(placed: Placed) -> Placed:
    """Standardised uptake by body weight, from activity concentration and what the header says of dose and weight."""
    factor = placed.volume.facts.suv_bw_factor
    if factor is None:
        raise ModelRefused(
            "the header does not say what standardised uptake needs: activity in Bq/mL, corrected for attenuation and "
            "for decay (to the scan's start or the injection), dose, half-life, both times and weight; or uptake itself"
        )
    return placed.with_array(scale(placed.values, gain=factor, offset=0.0))


def _range(values: Values) -> tuple[np.float32, np.float32]:
    low, high = values.min(), values.max()
    if not high > low:
        raise ModelRefused("the images are the same everywhere")
    return low, high
