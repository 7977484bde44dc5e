"""The image a CT scanner would make of the phantom: partial volume at every edge, and noise."""

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from node.rehearsal.chest import anatomy, lungs, parenchyma, tissue
from node.rehearsal.chest.solids import Field, Tube
from node.rehearsal.grid import Box, ScanGrid

NOISE_HU = 12.0


def footprint(field: Field) -> Field:
    """How much a field changes across one voxel: the larger of its steps to either neighbour, summed over the axes."""
    width = np.zeros_like(field)
    for axis in range(field.ndim):
        if field.shape[axis] < 2:
            continue
        step = np.abs(np.diff(field, axis=axis))
        head = [slice(None)] * field.ndim
        tail = [slice(None)] * field.ndim
        head[axis], tail[axis] = slice(0, 1), slice(-1, None)
        before = np.concatenate([step[tuple(head)], step], axis=axis)
        after = np.concatenate([step, step[tuple(tail)]], axis=axis)
        width += np.maximum(before, after)
    return width


def coverage(field: Field) -> Field:
    """The share of each voxel that lies inside: exact for a plane across a voxel's face."""
    return np.clip(0.5 - field / np.maximum(footprint(field), 1e-3), 0, 1)


def paint(image: Field, grid: ScanGrid, slab: Box, groups: tuple[tissue.Group, ...]) -> None:
    """Paint groups of tissues into the image of a slab (HU), each into its box only."""
    lows, highs = np.array([group.low for group in groups]), np.array([group.high for group in groups])
    for group, box in zip(groups, grid.boxes(lows, highs, slab), strict=True):
        if box is None:
            continue
        part = image[box[0].start - slab[0].start : box[0].stop - slab[0].start, box[1], box[2]]
        for field, hu in group.tissues(grid.points(box)):
            part += coverage(np.broadcast_to(field, part.shape)) * (hu - part)


def tube_coverage(grid: ScanGrid, parts: tuple[Tube, ...]) -> Field:
    """The share of each voxel that tubes cover; one thinner than a voxel appears fainter, not wider."""
    covered = np.zeros(grid.shape, np.float32)
    voxel_mm = (grid.voxel_ml * 1000) ** (1 / 3)
    ends = np.array([(part.start, part.end) for part in parts])
    reach = np.array([[max(part.start_mm, part.end_mm) + voxel_mm] * 3 for part in parts])
    for part, box in zip(
        parts, grid.boxes(ends.min(axis=1) - reach, ends.max(axis=1) + reach, grid.whole), strict=True
    ):
        if box is None:
            continue
        distance, radius = part.axis(grid.points(box))
        shown = np.maximum(radius, voxel_mm / 2)
        share = np.clip(0.5 - (distance - shown) / voxel_mm, 0, 1) * (radius / shown) ** 2
        np.maximum(covered[box], share, out=covered[box])
    return covered


def blob_field(grid: ScanGrid) -> Field:
    """The field of the low-attenuation regions, cut off two voxels away from them."""
    far = 2 * max(grid.spacing_mm)
    field = np.full(grid.shape, far, np.float32)
    blobs = parenchyma.low_attenuation()
    centres = np.array([blob.centre for blob in blobs])
    reach = np.array([[blob.reach_mm + far] * 3 for blob in blobs])
    for blob, box in zip(blobs, grid.boxes(centres - reach, centres + reach, grid.whole), strict=True):
        if box is not None:
            np.minimum(field[box], blob.field(grid.points(box)), out=field[box])
    return field


@lru_cache(maxsize=1)
def noiseless(grid: ScanGrid) -> Field:
    """The image before noise, HU as float32 (slices, rows, columns), read-only."""
    image = np.full(grid.shape, tissue.AIR, np.float32)
    vessels = tube_coverage(grid, parenchyma.vessels())
    holes = blob_field(grid)
    for slab in grid.slabs():
        part = image[slab[0]]
        paint(part, grid, slab, anatomy.AROUND_LUNGS)
        at = grid.points(slab)
        right, left = lungs.lungs(at)
        inside = np.minimum(coverage(right) + coverage(left), 1)
        inner = parenchyma.attenuation_hu(at) + 0 * part
        for fissure in parenchyma.fissures(at):
            half = parenchyma.FISSURE_MM / 2
            inner += (coverage(fissure - half) - coverage(fissure + half)) * (tissue.MUSCLE - inner)
        inner += vessels[slab[0]] * (tissue.BLOOD - inner)
        inner += coverage(holes[slab[0]]) * (parenchyma.LOW_HU - inner)
        part += inside * (inner - part)
        paint(part, grid, slab, anatomy.WITHIN_LUNGS)
    image.flags.writeable = False
    return image


def noise(grid: ScanGrid, seed: int) -> Field:
    """Gaussian noise of NOISE_HU, correlated over neighbouring pixels as reconstruction makes it."""
    grain = np.random.default_rng(seed).standard_normal(grid.shape, dtype=np.float32)
    for axis in (1, 2):
        grain = grain + 0.45 * (np.roll(grain, 1, axis) + np.roll(grain, -1, axis))
    return grain * np.float32(NOISE_HU / (1 + 2 * 0.45**2))


def scan(grid: ScanGrid, seed: int = 1) -> npt.NDArray[np.int16]:
    """The phantom's CT image on a grid: HU as int16 (slices, rows, columns); the same seed, the same image."""
    hu: npt.NDArray[np.int16] = np.clip(np.rint(noiseless(grid) + noise(grid, seed)), -1024, 3071).astype(np.int16)
    return hu
