"""Steps of geometry: each changes the grid and the affine with it, so that nothing changes its place in the patient."""

from itertools import permutations, product

import numpy as np

from ai.errors import ModelRefused
from ai.preparation.images import Array, itk
from ai.preparation.placed import Placed
from ai.preparation.sampling import Shape, resampled
from ai.together import refuse_other_space
from ai.volume import Affine

Box = tuple[tuple[int, int], tuple[int, int], tuple[int, int]]
"""First and last index, both included, along each axis."""

TOWARDS = {"L": (0, 1), "R": (0, -1), "P": (1, 1), "A": (1, -1), "S": (2, 1), "I": (2, -1)}
"""Row of an LPS affine, and sign, for each direction in the patient."""

ORIENTATIONS = tuple(
    first + second + third
    for rows in permutations(("LR", "PA", "SI"))
    for first in rows[0]
    for second in rows[1]
    for third in rows[2]
)


def orient(placed: Placed, *, axes: str) -> Placed:
    """Permute and reverse the axes so that they run closest to three directions; nothing is resampled."""
    affine = placed.affine_lps
    directions = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    wanted = [TOWARDS[letter] for letter in axes]
    order = max(
        permutations(range(3)),
        key=lambda chosen: sum(abs(directions[row, axis]) for (row, _), axis in zip(wanted, chosen, strict=True)),
    )
    to_old = np.zeros((4, 4))
    to_old[3, 3] = 1.0
    turned: list[int] = []
    for new, (old, (row, sign)) in enumerate(zip(order, wanted, strict=True)):
        backwards = directions[row, old] * sign < 0
        to_old[old, new] = -1.0 if backwards else 1.0
        if backwards:
            to_old[old, 3] = placed.shape[old] - 1
            turned.append(new)
    return placed.moved(np.flip(placed.array.transpose(order), tuple(turned)), to_old)


def resample(placed: Placed, *, spacing_mm: tuple[float, float, float], interpolation: str) -> Placed:
    """Voxels of another size around the same centre; 0 keeps the spacing of an axis."""
    factors = [new / old if new else 1.0 for new, old in zip(spacing_mm, placed.spacing_mm, strict=True)]
    sizes = [max(1, round(size / factor)) for size, factor in zip(placed.shape, factors, strict=True)]
    return _scaled(placed, factors, sizes, interpolation)


def resize(placed: Placed, *, shape: Shape, interpolation: str) -> Placed:
    """So many voxels over the same field; 0 keeps the number of an axis."""
    sizes = [new or old for new, old in zip(shape, placed.shape, strict=True)]
    factors = [old / new for old, new in zip(placed.shape, sizes, strict=True)]
    return _scaled(placed, factors, sizes, interpolation)


def _scaled(placed: Placed, factors: list[float], sizes: list[int], interpolation: str) -> Placed:
    to_old = np.diag([*factors, 1.0])
    for axis in range(3):
        to_old[axis, 3] = (placed.shape[axis] - 1) / 2 - factors[axis] * (sizes[axis] - 1) / 2
    shape = sizes[0], sizes[1], sizes[2]
    return placed.moved(resampled(placed.array, to_old, shape, interpolation, None), to_old)


def crop(placed: Placed, *, before: Shape, after: Shape) -> Placed:
    """Cut voxels off both ends of each axis."""
    left = [size - first - last for size, first, last in zip(placed.shape, before, after, strict=True)]
    if min(left) < 1:
        raise ModelRefused(f"the images ({_by(placed.shape)} voxels) are smaller than what the model cuts off")
    return _framed(placed, before, (left[0], left[1], left[2]), None)


def crop_to_square(placed: Placed) -> Placed:
    """Cut the middle square out of each slice."""
    side = min(placed.shape[1:])
    return fit(placed, shape=(0, side, side), value=None)


def pad(placed: Placed, *, before: Shape, after: Shape, value: float | None) -> Placed:
    """Add voxels at both ends of each axis."""
    grown = [size + first + last for size, first, last in zip(placed.shape, before, after, strict=True)]
    return _framed(placed, (-before[0], -before[1], -before[2]), (grown[0], grown[1], grown[2]), value)


def fit(placed: Placed, *, shape: Shape, value: float | None) -> Placed:
    """Cut or pad both ends of each axis alike to a number of voxels; 0 keeps an axis."""
    wanted = [new or old for new, old in zip(shape, placed.shape, strict=True)]
    first = [_half(old - new) for old, new in zip(placed.shape, wanted, strict=True)]
    return _framed(placed, (first[0], first[1], first[2]), (wanted[0], wanted[1], wanted[2]), value)


def pad_to(placed: Placed, *, least: Shape, multiple: Shape, value: float | None) -> Placed:
    """Pad both ends of each axis alike to at least so many voxels and to a multiple; nothing is cut."""
    sizes = [max(old, low) for old, low in zip(placed.shape, least, strict=True)]
    wanted = [-(-size // of) * of for size, of in zip(sizes, multiple, strict=True)]
    return fit(placed, shape=(wanted[0], wanted[1], wanted[2]), value=value)


def within(placed: Placed, box: Box) -> Placed:
    """Cut to a box."""
    after = [size - 1 - high for (_, high), size in zip(box, placed.shape, strict=True)]
    return crop(placed, before=(box[0][0], box[1][0], box[2][0]), after=(after[0], after[1], after[2]))


def crop_to_foreground(placed: Placed, *, above: float, margin_mm: float) -> Placed:
    """Cut to the box around all voxels above a value."""
    return _boxed(placed, placed.array > above, margin_mm)


def crop_to_body(placed: Placed, *, above_hu: float, margin_mm: float) -> Placed:
    """Cut to the box around the largest connected piece above a density: the patient without table and air."""
    steps = tuple(max(1, size // 128) for size in placed.shape)
    coarse = placed.array[:: steps[0], :: steps[1], :: steps[2]] > above_hu
    # One voxel of the coarse grid is taken off first, so that a table that touches the back does not belong to it.
    image = itk.GetImageFromArray(coarse.astype(np.uint8))
    opened = itk.BinaryErode(image, [1, 1, 1 if coarse.shape[0] > 2 else 0])
    pieces = itk.GetArrayFromImage(itk.RelabelComponent(itk.ConnectedComponent(opened)))
    largest = pieces == 1
    box = box_around(largest, "denser than the model looks for")
    fine = [
        (max(0, (low - 1) * step), min(size - 1, (high + 2) * step - 1))
        for (low, high), step, size in zip(box, steps, placed.shape, strict=True)
    ]
    return _cut(placed, (fine[0], fine[1], fine[2]), margin_mm)


def centre(placed: Placed, *, shape: Shape, above: float, value: float | None) -> Placed:
    """Cut or pad to a number of voxels around the centroid of all voxels above a value; 0 keeps an axis."""
    mask = placed.array > above
    box_around(mask, f"above {above:g}")
    first, wanted = [], []
    for axis, size in enumerate(placed.shape):
        counts = np.count_nonzero(mask, axis=tuple(other for other in range(3) if other != axis))
        middle = float(np.average(np.arange(size), weights=counts))
        wanted.append(shape[axis] or size)
        first.append(round(middle - (wanted[-1] - 1) / 2) if shape[axis] else 0)
    return _framed(placed, (first[0], first[1], first[2]), (wanted[0], wanted[1], wanted[2]), value)


def match(placed: Placed, *, to: Placed, interpolation: str, value: float | None) -> Placed:
    """Resample onto the grid of another input, by their places in the patient."""
    refuse_other_space(placed.volume, to.volume)
    to_old: Affine = np.linalg.inv(placed.affine_lps) @ to.affine_lps
    _refuse_elsewhere(placed.shape, to_old, to.shape)
    return placed.moved(resampled(placed.array, to_old, to.shape, interpolation, lowest(placed, value)), to_old)


def _refuse_elsewhere(old: Shape, to_old: Affine, new: Shape) -> None:
    """Of images that reach none of the other input's, nothing would be left but the value outside them."""
    corners = np.array([[*corner, 1.0] for corner in product(*((-0.5, size - 0.5) for size in new))])
    there = (corners @ to_old.T)[:, :3]
    if (there.max(axis=0) < -0.5).any() or (there.min(axis=0) > np.array(old) - 0.5).any():
        raise ModelRefused("the images lie elsewhere in the patient than those that they are to match")


def lowest(placed: Placed, value: float | None) -> float:
    """The value outside the image: the one that is given, else the smallest in it."""
    return float(placed.array.min()) if value is None else value


def _framed(placed: Placed, first: Shape, shape: Shape, value: float | None) -> Placed:
    """The box of that shape whose first voxel is at `first`, which may lie outside: what is new gets the value."""
    to_old = np.eye(4)
    to_old[:3, 3] = first
    inside = [
        (max(0, start), min(size, start + count)) for start, count, size in zip(first, shape, placed.shape, strict=True)
    ]
    old = tuple(slice(low, max(low, high)) for low, high in inside)
    part = placed.array[old]
    if part.shape == shape:
        return placed.moved(part, to_old)
    made = np.full(shape, lowest(placed, value), dtype=_holding(placed.array, value))
    new = tuple(
        slice(low - start, low - start + size) for (low, _), start, size in zip(inside, first, part.shape, strict=True)
    )
    made[new] = part
    return placed.moved(made, to_old)


def _holding(array: Array, value: float | None) -> np.dtype[np.generic]:
    """The array's type where it can hold the value, float32 otherwise."""
    if value is None or (np.can_cast(np.min_scalar_type(round(value)), array.dtype) and value == round(value)):
        return array.dtype
    return array.dtype if np.issubdtype(array.dtype, np.floating) else np.dtype(np.float32)


def _boxed(placed: Placed, mask: Array, margin_mm: float) -> Placed:
    return _cut(placed, box_around(mask, "that the model looks for"), margin_mm)


def _cut(placed: Placed, box: Box, margin_mm: float) -> Placed:
    return within(placed, grown(box, placed, margin_mm))


def grown(box: Box, placed: Placed, margin_mm: float) -> Box:
    """A box with a margin on every side, as far as the images reach. Without a margin no calibration is needed."""
    spacing = placed.spacing_mm if margin_mm else (1.0, 1.0, 1.0)
    sides = []
    for (low, high), size, one in zip(box, placed.shape, spacing, strict=True):
        margin = int(np.ceil(margin_mm / one))
        sides.append((max(0, low - margin), min(size - 1, high + margin)))
    return sides[0], sides[1], sides[2]


def box_around(mask: Array, what: str) -> Box:
    """The smallest box that holds a mask. Raises ModelRefused where that is empty; `what` names what was looked for."""
    sides = []
    for axis in range(3):
        hit = np.flatnonzero(mask.any(axis=tuple(other for other in range(3) if other != axis)))
        if not hit.size:
            raise ModelRefused(f"there is nothing in the images {what}")
        sides.append((int(hit[0]), int(hit[-1])))
    return sides[0], sides[1], sides[2]


def _half(difference: int) -> int:
    """Half of what is cut (or, below 0, added) at the beginning; the odd voxel is cut or added at the end."""
    return difference // 2 if difference >= 0 else -(-difference // 2)


def _by(shape: Shape) -> str:
    return " x ".join(str(size) for size in shape)
