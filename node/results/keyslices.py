"""Chooses the slices that show a reader what was found where."""

import numpy as np

from ai.findings import Findings, Map
from ai.masks import voxels_by_slice

COUNT = 8


def key_slices(findings: Findings, slice_count: int) -> tuple[int, ...]:
    """Indices along the slice axis, ascending: spread through all that was found, and the largest of each segment.

    At least six wherever there are six slices; spread through the whole volume where nothing was found.
    """
    areas = [voxels_by_slice(segment.mask) for segment in findings.segments]
    areas = [area for area in areas if area.any()]
    detected = {round(float(np.median(one.points[:, 0]))) for one in findings.detections}
    detected |= {highest_slice(one) for one in findings.maps}
    occupied = np.flatnonzero(np.sum(areas, axis=0)) if areas else np.arange(slice_count)
    chosen = set(_spread(occupied, COUNT))
    chosen |= {int(np.argmax(area)) for area in areas if not any(area[index] for index in chosen)}
    chosen |= {index for index in detected if 0 <= index < slice_count}
    if len(chosen) < min(COUNT, slice_count):
        others = np.setdiff1d(np.arange(slice_count), list(chosen))
        chosen |= set(_spread(others, min(COUNT, slice_count) - len(chosen)))
    return tuple(sorted(chosen))


def highest_slice(one: Map) -> int:
    """The slice with a map's highest value."""
    return int(np.argmax(one.values.max(axis=(1, 2))))


def _spread(indices: np.ndarray, count: int) -> list[int]:
    """`count` of the indices, evenly spread and away from both ends."""
    places = (np.arange(count) + 0.5) * len(indices) / count
    return [int(indices[int(place)]) for place in places]
