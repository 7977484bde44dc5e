"""What a model should find in the phantom: volumes, centroids and masks, from the analytic description alone."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from node.rehearsal.chest import lungs, parenchyma
from node.rehearsal.chest.solids import Field, Points
from node.rehearsal.grid import Box, Places, ScanGrid
from node.rehearsal.scan import blob_field, footprint, noiseless

Mask = npt.NDArray[np.bool_]
Voxels = npt.NDArray[np.intp]
Counts = npt.NDArray[np.uint8]
FINER = 4
"""Samples in a voxel along each axis."""
CHUNK = 8192
"""Voxels sampled at a time, so that memory stays small."""
RIGHT, LEFT, LOW = "right-lung", "left-lung", "low-attenuation"


@dataclass(frozen=True)
class Region:
    """One true region; mask: bool (slices, rows, columns), the voxels of which it fills more than half."""

    volume_ml: float
    centroid_lps_mm: tuple[float, float, float]
    mask: Mask


@dataclass(frozen=True)
class Truth:
    """The true regions by segment key, and the true densities of each lung by the same key.

    mean_hu: mean of the noiseless image in the lung's mask. low_percent: share of the lung's volume that has low
    attenuation, in percent: what LAA-950 should find.
    """

    regions: dict[str, Region]
    mean_hu: dict[str, float]
    low_percent: dict[str, float]


def truth(grid: ScanGrid) -> Truth:
    """The phantom's truth on a grid, each voxel sampled FINER times along each axis."""
    right, left, low_right, low_left = count_samples(grid)
    regions = {RIGHT: _region(grid, right), LEFT: _region(grid, left), LOW: _region(grid, low_right + low_left)}
    image = noiseless(grid)
    return Truth(
        regions,
        mean_hu={key: float(image[regions[key].mask].mean(dtype=np.float64)) for key in (RIGHT, LEFT)},
        low_percent={
            RIGHT: 100 * float(low_right.sum(dtype=np.int64) / right.sum(dtype=np.int64)),
            LEFT: 100 * float(low_left.sum(dtype=np.int64) / left.sum(dtype=np.int64)),
        },
    )


def _region(grid: ScanGrid, counts: Counts) -> Region:
    places = np.argwhere(counts)
    shares = counts[tuple(places.T)] / FINER**3
    centre = grid.affine_lps[:3, :3] @ (shares @ places / shares.sum()) + grid.affine_lps[:3, 3]
    return Region(
        volume_ml=float(shares.sum() * grid.voxel_ml),
        centroid_lps_mm=(float(centre[0]), float(centre[1]), float(centre[2])),
        mask=counts > FINER**3 // 2,
    )


def count_samples(grid: ScanGrid) -> Counts:
    """How many of each voxel's samples lie in right lung, left lung, low attenuation of the right, and of the left.

    Returns (4, slices, rows, columns). Only voxels that a boundary may cross are sampled: in the others all samples
    are alike, so the centre settles them.
    """
    counts = np.zeros((4, *grid.shape), np.uint8)
    low = blob_field(grid)
    for slab in grid.slabs():
        right, left = lungs.lungs(grid.points(slab))
        holes = low[slab[0]]
        inside = _inside(right, left, holes)
        counts[:, slab[0]] = inside * np.uint8(FINER**3)
        edge = _crossed(right) | _crossed(left)
        for voxels, at in _sampled(grid, slab, edge):
            _set(counts, voxels, _inside(*lungs.lungs(at), _low_field(at)))
        for voxels, at in _sampled(grid, slab, _crossed(holes) & ~edge & (inside[0] | inside[1])):
            where = inside[:2, voxels[:, 0] - slab[0].start, voxels[:, 1], voxels[:, 2], None]
            signs = np.where(where, np.float32(-1), np.float32(1))
            _set(counts, voxels, _inside(signs[0], signs[1], _low_field(at)))
    return counts


def _crossed(field: Field) -> Mask:
    """Voxels that a field's boundary may cross: half a voxel's change would do for a plane; bends get as much again."""
    return np.abs(field) <= 0.8 * footprint(field)


def _set(counts: Counts, voxels: Voxels, inside: Mask) -> None:
    counts[:, voxels[:, 0], voxels[:, 1], voxels[:, 2]] = inside.sum(axis=-1)


def _sampled(grid: ScanGrid, slab: Box, chosen: Mask) -> Iterator[tuple[Voxels, Points]]:
    """The chosen voxels of a slab, some at a time, as indices (n, 3) and their samples (n, FINER^3)."""
    voxels = np.argwhere(chosen) + np.array([slab[0].start, 0, 0])
    for first in range(0, len(voxels), CHUNK):
        chunk = voxels[first : first + CHUNK]
        yield chunk, _samples(grid, chunk)


def _inside(right: Field, left: Field, low: Field) -> Mask:
    """Membership (4, ...) by the fields' signs."""
    right_lung, left_lung, hole = np.broadcast_arrays(right < 0, left < 0, low < 0)
    return np.stack([right_lung, left_lung, right_lung & hole, left_lung & hole])


def _samples(grid: ScanGrid, voxels: Voxels) -> Points:
    """The samples of voxels (n, 3), as coordinates (n, FINER^3)."""
    steps = (np.arange(FINER) + 0.5) / FINER - 0.5
    offsets = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), axis=-1).reshape(-1, 3)
    turn, origin = grid.affine_lps[:3, :3], grid.affine_lps[:3, 3]
    middles, around = voxels @ turn.T + origin, offsets @ turn.T
    return Points(*((middles[:, axis, None] + around[:, axis]).astype(np.float32) for axis in range(3)))


def _low_field(at: Points) -> Field:
    """The low-attenuation regions' field at samples (n, m); each region is evaluated for the voxels near it only."""
    field = np.full(at.x.shape, 99.0, np.float32)
    first: Places = np.stack([at.x[:, 0], at.y[:, 0], at.z[:, 0]], axis=1)
    last: Places = np.stack([at.x[:, -1], at.y[:, -1], at.z[:, -1]], axis=1)
    extent = np.linalg.norm(last - first, axis=1).max()
    for blob in parenchyma.low_attenuation():
        near = np.flatnonzero(np.linalg.norm(first - blob.centre, axis=1) < blob.reach_mm + extent)
        if near.size:
            field[near] = np.minimum(field[near], blob.field(Points(at.x[near], at.y[near], at.z[near])))
    return field
