"""Volume, surface, axes and shape of a segment (IBSI 3.1, morphological features)."""

from collections.abc import Mapping
from math import pi, sqrt

import numpy as np
from scipy.spatial import ConvexHull
from scipy.spatial.distance import pdist
from skimage.measure import marching_cubes, mesh_surface_area

from ai.measures.region import Points, Region

ISOVALUE = 0.5
"""Of the mask, so that the surface lies halfway between the centres of voxels."""


def shape(region: Region) -> Mapping[str, float]:
    """Features by key; lengths in mm, areas in mm², volumes in mm³."""
    vertices, faces = _mesh(region)
    volume, area = _enclosed(vertices, faces), float(mesh_surface_area(vertices, faces))
    major, minor, least = _axes(region.centres_mm)
    hull = ConvexHull(vertices)
    box = np.ptp(vertices, axis=0)
    return {
        "mesh-volume": volume,
        "voxel-volume": len(region.inside) * region.voxel_mm3,
        "surface-area": area,
        "surface-to-volume": area / volume,
        "compactness-1": volume / sqrt(pi * area**3),
        "compactness-2": 36 * pi * volume**2 / area**3,
        "spherical-disproportion": area / _sphere_area(volume),
        "sphericity": _sphere_area(volume) / area,
        "asphericity": area / _sphere_area(volume) - 1,
        "centre-of-mass-shift": _shift(region),
        "maximum-3d-diameter": float(pdist(vertices[hull.vertices]).max()),
        "major-axis": major,
        "minor-axis": minor,
        "least-axis": least,
        "elongation": minor / major if major else np.nan,
        "flatness": least / major if major else np.nan,
        "volume-density-box": volume / float(np.prod(box)),
        "area-density-box": area / float(2 * (box[0] * box[1] + box[0] * box[2] + box[1] * box[2])),
        "volume-density-hull": volume / float(hull.volume),
        "area-density-hull": area / float(hull.area),
    }


def _mesh(region: Region) -> tuple[Points, np.ndarray]:
    vertices, faces, _, _ = marching_cubes(region.mask.astype(np.float32), ISOVALUE, spacing=region.spacing_mm)
    return vertices.astype(np.float64), faces


def _enclosed(vertices: Points, faces: np.ndarray) -> float:
    """Volume inside a closed mesh: the sum of its signed tetrahedra with the origin."""
    a, b, c = (vertices[faces[:, corner]] for corner in range(3))
    return abs(float(np.einsum("ij,ij->", a, np.cross(b, c)))) / 6


def _sphere_area(volume: float) -> float:
    """Surface of the sphere of that volume."""
    return float((36 * pi * volume**2) ** (1 / 3))


def _axes(centres: Points) -> tuple[float, float, float]:
    """4·sqrt of the eigenvalues of the centres' covariance, largest first: 0.89 of the axes of a solid ellipsoid.

    The covariance is over n - 1: IBSI does not say so, but its values for its phantom have it.
    """
    offsets = centres - centres.mean(axis=0)
    least, minor, major = np.linalg.eigvalsh(offsets.T @ offsets / max(1, len(offsets) - 1)).clip(min=0)
    return 4 * sqrt(major), 4 * sqrt(minor), 4 * sqrt(least)


def _shift(region: Region) -> float:
    """Between the centre of the voxels and their centre weighted by value; not a number where the values sum to 0."""
    values, centres = region.inside, region.centres_mm
    total = values.sum()
    return float(np.linalg.norm(centres.mean(axis=0) - values @ centres / total)) if total else np.nan
