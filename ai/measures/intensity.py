"""Statistics of the values in a segment (IBSI 3.3, intensity-based statistics)."""

from collections.abc import Mapping

import numpy as np

from ai.measures.region import Values

PERCENTILES = (5, 10, 25, 75, 90, 95)


def intensity(values: Values) -> Mapping[str, float]:
    """Features by key, of the values of a segment's voxels (n,), n at least 1; variances are over n."""
    mean, median, spread = float(values.mean()), float(np.median(values)), float(values.std())
    percentiles = dict(zip(PERCENTILES, np.percentile(values, PERCENTILES).tolist(), strict=True))
    p10, p25, p75, p90 = (percentiles[one] for one in (10, 25, 75, 90))
    middle = values[(values >= p10) & (values <= p90)]
    offsets = (values - mean) / spread if spread else np.zeros_like(values)
    return {
        "mean": mean,
        "variance": spread**2,
        "skewness": float(np.mean(offsets**3)),
        "kurtosis": float(np.mean(offsets**4) - 3) if spread else 0.0,
        "median": median,
        "minimum": float(values.min()),
        "maximum": float(values.max()),
        **{f"percentile-{one}": value for one, value in percentiles.items()},
        "interquartile-range": p75 - p25,
        "range": float(np.ptp(values)),
        "mean-absolute-deviation": float(np.abs(values - mean).mean()),
        "robust-mean-absolute-deviation": float(np.abs(middle - middle.mean()).mean()),
        "median-absolute-deviation": float(np.abs(values - median).mean()),
        "coefficient-of-variation": spread / mean if mean else np.nan,
        "quartile-coefficient-of-dispersion": (p75 - p25) / (p75 + p25) if p75 + p25 else np.nan,
        "energy": float(values @ values),
        "root-mean-square": float(np.sqrt(np.mean(values**2))),
    }
