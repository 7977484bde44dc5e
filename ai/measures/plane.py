"""Longest and shortest axes of a segment within a slice, and its centroid in the patient."""

from collections.abc import Iterator, Mapping

import numpy as np
from contourpy import contour_generator
from scipy.spatial import ConvexHull
from scipy.spatial.distance import pdist, squareform

from ai.findings import Mask
from ai.measures.region import Points, Region


def in_plane(region: Region) -> Mapping[str, float]:
    """The longest axis of any slice, and the segment's width across it in that slice, in mm.

    Both end on the outline halfway between voxels inside and outside, as the surface does.
    """
    longest = max((_axes(points) for points in _outlines(region)), key=lambda axes: axes[0])
    return {"long-axis": longest[0], "short-axis": longest[1]}


def centroid(region: Region) -> Mapping[str, float]:
    """Mean of the voxels' centres in the patient: mm to the left, posterior and superior. Empty without a position."""
    if region.affine_lps is None:
        return {}
    index = np.argwhere(region.mask).mean(axis=0)
    left, posterior, superior = region.affine_lps[:3, :3] @ index + region.affine_lps[:3, 3]
    return {
        "centroid-left": float(left),
        "centroid-posterior": float(posterior),
        "centroid-superior": float(superior),
    }


def _outlines(region: Region) -> Iterator[Points]:
    for plane in region.mask:
        if plane.any():
            yield _outline(plane) * np.asarray(region.spacing_mm[1:])


def _outline(plane: Mask) -> Points:
    """Points of all outlines in a slice, (n, 2), as (row, column)."""
    lines: list[Points] = contour_generator(z=plane.astype(np.float64)).lines(0.5)  # type: ignore[assignment]
    return np.concatenate(lines)[:, ::-1]


def _axes(points: Points) -> tuple[float, float]:
    """The greatest distance between two points, and the extent of all points at right angles to it."""
    hull = points[ConvexHull(points).vertices]
    apart = squareform(pdist(hull))
    one, other = np.unravel_index(int(apart.argmax()), apart.shape)
    along = (hull[other] - hull[one]) / apart[one, other]
    return float(apart[one, other]), float(np.ptp(hull @ np.array([-along[1], along[0]])))
