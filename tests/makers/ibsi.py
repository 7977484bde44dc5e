"""The digital phantom of the Image Biomarker Standardisation Initiative, and the values published for it."""

import numpy as np

from ai.measures.measuring import features
from ai.measures.region import Region, region
from ai.measures.table import Family
from ai.measures.texture import GreyLevels
from ai.volume import Volume

SLICES = """
1 4 4 1 1 / 1 4 6 1 1 / 4 1 6 4 1 / 4 4 6 4 1
1 4 4 1 1 / 1 1 6 1 1 / . 1 3 1 1 / 4 4 6 1 1
1 4 4 . . / 1 1 1 1 1 / 1 1 . 1 1 / 1 1 6 1 1
1 4 4 . . / 1 1 1 1 1 / 1 1 1 1 1 / 1 1 6 1 1
"""
"""Rows of each slice; a point is outside the region. Voxels of 2 mm. From the view in chapter 5 of the manual."""

PUBLISHED = {
    "mesh-volume": 556,
    "voxel-volume": 592,
    "surface-area": 388,
    "surface-to-volume": 0.698,
    "compactness-1": 0.0411,
    "compactness-2": 0.599,
    "spherical-disproportion": 1.19,
    "sphericity": 0.843,
    "asphericity": 0.186,
    "centre-of-mass-shift": 0.672,
    "maximum-3d-diameter": 13.1,
    "major-axis": 11.4,
    "minor-axis": 9.31,
    "least-axis": 8.54,
    "elongation": 0.816,
    "flatness": 0.749,
    "volume-density-box": 0.869,
    "area-density-box": 0.866,
    "volume-density-hull": 0.961,
    "area-density-hull": 1.03,
    "mean": 2.15,
    "variance": 3.05,
    "skewness": 1.08,
    "kurtosis": -0.355,
    "median": 1,
    "minimum": 1,
    "percentile-10": 1,
    "percentile-90": 4,
    "maximum": 6,
    "interquartile-range": 3,
    "range": 5,
    "mean-absolute-deviation": 1.55,
    "robust-mean-absolute-deviation": 1.11,
    "median-absolute-deviation": 1.15,
    "coefficient-of-variation": 0.812,
    "quartile-coefficient-of-dispersion": 0.6,
    "energy": 567,
    "root-mean-square": 2.77,
    "glcm-joint-maximum": 0.509,
    "glcm-joint-average": 2.15,
    "glcm-joint-variance": 3.13,
    "glcm-joint-entropy": 2.57,
    "glcm-difference-average": 1.38,
    "glcm-difference-variance": 3.21,
    "glcm-difference-entropy": 1.64,
    "glcm-sum-average": 4.3,
    "glcm-sum-variance": 7.41,
    "glcm-sum-entropy": 2.11,
    "glcm-angular-second-moment": 0.291,
    "glcm-contrast": 5.12,
    "glcm-dissimilarity": 1.38,
    "glcm-inverse-difference": 0.688,
    "glcm-inverse-difference-normalised": 0.856,
    "glcm-inverse-difference-moment": 0.631,
    "glcm-inverse-difference-moment-normalised": 0.902,
    "glcm-inverse-variance": 0.0574,
    "glcm-correlation": 0.183,
    "glcm-autocorrelation": 5.19,
    "glcm-cluster-tendency": 7.41,
    "glcm-cluster-shade": 17.4,
    "glcm-cluster-prominence": 147,
    "glcm-information-correlation-1": -0.0288,
    "glcm-information-correlation-2": 0.269,
}
"""IBSI reference manual (arXiv:1612.07003), chapter 3, rows "dig. phantom"; co-occurrence: aggregation "3D, merged"."""


def phantom() -> Region:
    """The phantom's region."""
    rows = [[row.split() for row in line.split("/")] for line in SLICES.strip().splitlines()]
    values = np.array([[[0.0 if one == "." else float(one) for one in row] for row in plane] for plane in rows])
    found = region(values > 0, Volume(values, np.diag([2.0, 2.0, 2.0, 1.0]), (2.0, 2.0, 2.0)))
    assert found is not None
    return found


def computed() -> dict[str, float]:
    """Every feature of the phantom; its values are its grey levels."""
    return dict(features(phantom(), frozenset(Family), GreyLevels(width=1.0, start=1.0)))


def agrees(value: float, published: float) -> bool:
    """Whether a value, rounded to the digits that are published, is the published one."""
    return float(f"{value:.3g}") == published
