"""Shapes of masks, measured in millimetres: distance, growth, components, holes, floods and blocks."""

from typing import Any

import numpy as np
import numpy.typing as npt

from ai.findings import Mask
from ai.preparation.images import itk

Spacing = tuple[float, float, float]
Steps = tuple[int, int, int]
Box = tuple[slice, slice, slice]
Labels = npt.NDArray[np.uint8]
Blocks = npt.NDArray[np.float32]
Values = npt.NDArray[Any]
"""HU in the type in which the source gave them."""

PADDING_HU, BRIGHT_HU = -1024, 1000
"""Values are limited to these before averaging, so that padding and metal weigh no more than air and bone."""


def _image(array: npt.NDArray[Any], spacing_mm: tuple[float, ...] | None = None) -> Any:
    """A SimpleITK image of the array; a mask becomes unsigned 8 bit."""
    values = np.ascontiguousarray(array)
    image = itk.GetImageFromArray(values.view(np.uint8) if values.dtype == np.bool_ else values)
    if spacing_mm is not None:
        image.SetSpacing(spacing_mm[::-1])
    return image


def distance_mm(mask: Mask, spacing_mm: Spacing) -> npt.NDArray[np.float32]:
    """From every voxel's centre to that of the nearest voxel of the mask (infinite where it is empty)."""
    if not mask.any():
        return np.full(mask.shape, np.inf, dtype=np.float32)
    image = itk.SignedMaurerDistanceMap(
        _image(mask, spacing_mm), insideIsPositive=False, squaredDistance=False, useImageSpacing=True
    )
    distance: npt.NDArray[np.float32] = np.maximum(itk.GetArrayViewFromImage(image), np.float32(0))
    return distance


def at_least_a_voxel(radius_mm: float, spacing_mm: Spacing) -> float:
    """The radius, or one that reaches the next voxel along two axes at least where voxels are larger than it."""
    return max(radius_mm, 1.01 * sorted(spacing_mm)[1])


def grown(mask: Mask, radius_mm: float, spacing_mm: Spacing) -> Mask:
    """Every voxel within the radius of the mask."""
    return distance_mm(mask, spacing_mm) <= radius_mm


def shrunk(mask: Mask, radius_mm: float, spacing_mm: Spacing) -> Mask:
    """Every voxel of the mask farther than the radius from all that is not; the array's edge takes nothing away."""
    return distance_mm(~mask, spacing_mm) > radius_mm


def components(mask: Mask) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.int64]]:
    """Face-connected components, largest first: labels 1, 2, … and the voxel count of each (index 0: background)."""
    found = itk.RelabelComponent(itk.ConnectedComponent(_image(mask)))
    labels: npt.NDArray[np.uint32] = itk.GetArrayFromImage(found).astype(np.uint32, copy=False)
    return labels, np.bincount(labels.ravel()).astype(np.int64)


def holding(mask: Mask, seeds: Mask) -> Mask:
    """The components of the mask that hold a seed."""
    labels, counts = components(mask)
    chosen = np.zeros(len(counts), dtype=np.bool_)
    chosen[np.unique(labels[seeds])] = True
    chosen[0] = False
    found: Mask = chosen[labels]
    return found


def section_components(mask: Mask) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.int64]]:
    """Components as in `components`, but of each slice for itself; labels differ between slices."""
    spaced = np.zeros((2 * mask.shape[0], *mask.shape[1:]), dtype=np.bool_)
    spaced[::2] = mask
    labels, counts = components(spaced)
    return labels[::2], counts


def filled(mask: Mask) -> Mask:
    """The mask with all it encloses."""
    whole: Mask = itk.GetArrayFromImage(itk.BinaryFillhole(_image(mask))).astype(np.bool_)
    return whole


def filled_sections(mask: Mask) -> Mask:
    """The mask with all it encloses in each slice: what no path in the slice joins to the slice's edge."""
    labels, counts = section_components(~mask)
    enclosed = np.ones(len(counts), dtype=np.bool_)
    for edge in (labels[:, 0], labels[:, -1], labels[:, :, 0], labels[:, :, -1]):
        enclosed[np.unique(edge)] = False
    enclosed[0] = True
    whole: Mask = enclosed[labels]
    return whole


def flood(hu: Values, markers: Labels) -> Labels:
    """The marker whose flood, rising by density, reaches each voxel first (watershed; Beucher and Meyer 1993)."""
    relief = np.clip(np.rint(hu), PADDING_HU, BRIGHT_HU).astype(np.int16)
    flooded = itk.MorphologicalWatershedFromMarkers(
        _image(relief), _image(markers), markWatershedLine=False, fullyConnected=False
    )
    labels: Labels = itk.GetArrayFromImage(flooded).astype(np.uint8)
    return labels


def box_around(mask: Mask, margin_mm: float, spacing_mm: Spacing) -> Box:
    """The smallest box that holds the mask with a margin, inside the array. Raises ValueError where it is empty."""
    sides = []
    for axis in range(3):
        others = tuple(other for other in range(3) if other != axis)
        hit = np.flatnonzero(mask.any(axis=others))
        if not hit.size:
            raise ValueError("an empty mask has no box")
        margin = int(np.ceil(margin_mm / spacing_mm[axis]))
        sides.append(slice(max(0, int(hit[0]) - margin), min(mask.shape[axis], int(hit[-1]) + 1 + margin)))
    return sides[0], sides[1], sides[2]


def block_steps(spacing_mm: Spacing, target_mm: float) -> Steps:
    """How many voxels along each axis make a block of about the target size; never less than one."""
    steps = [max(1, round(target_mm / one)) for one in spacing_mm]
    return steps[0], steps[1], steps[2]


def times(spacing_mm: Spacing, steps: Steps) -> Spacing:
    """The size of a block of so many voxels."""
    return spacing_mm[0] * steps[0], spacing_mm[1] * steps[1], spacing_mm[2] * steps[2]


def block_means(hu: Values, steps: Steps) -> Blocks:
    """The mean of every block, of limited values; blocks that overhang the far edge repeat its last voxels."""
    shape = [-(-size // step) for size, step in zip(hu.shape, steps, strict=True)]
    total = np.zeros(shape, dtype=np.float32)
    for offset in np.ndindex(*steps):
        index = np.ix_(
            *(
                np.minimum(np.arange(count) * step + start, size - 1)
                for count, step, start, size in zip(shape, steps, offset, hu.shape, strict=True)
            )
        )
        total += np.clip(hu[index], PADDING_HU, BRIGHT_HU).astype(np.float32)
    return total / np.float32(np.prod(steps))


def spread(blocks: Mask, steps: Steps, box: Box) -> Mask:
    """The value of its block for every voxel in the box of voxels (nearest neighbour)."""
    index = np.ix_(*(np.arange(side.start, side.stop) // step for side, step in zip(box, steps, strict=True)))
    fine: Mask = blocks[index]
    return fine
