"""Draws planes of a volume as a reader expects them: windowed, square-pixelled, each segment outlined in its colour."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt
from PIL import Image

from ai.contract import ModelCard
from ai.findings import Findings, Mask
from ai.volume import Affine, Volume

Colour = tuple[int, int, int]
Plane = npt.NDArray[np.generic]
T = TypeVar("T", bound=np.generic)

LUNG_CODE = "39607008"
OUTLINE_PX = 2
DETECTION_COLOUR: Colour = (255, 82, 160)
DIRECTIONS = (("R", "L"), ("A", "P"), ("F", "H"))
"""Letters towards the negative and the positive end of each LPS axis (PS3.3 C.7.6.1.1.1)."""


@dataclass(frozen=True)
class Window:
    """Values at `centre` are mid-grey; half of `width` to either side of it lie black and white."""

    centre: float
    width: float


LUNG_WINDOW = Window(-600.0, 1500.0)
SOFT_TISSUE_WINDOW = Window(40.0, 400.0)


def window_for(volume: Volume, card: ModelCard, declared: Window | None = None) -> Window:
    """Lung window for lungs on CT, else what the CT declares; elsewhere what nearly all voxels span.

    Outside CT a declared window need not be in the volume's quantity (PET), or is the scanner's guess (MR).
    """
    if volume.facts.modality == "CT":
        of_lungs = any(segment.site.value == LUNG_CODE for segment in card.segments)
        return LUNG_WINDOW if of_lungs else declared or SOFT_TISSUE_WINDOW
    step = max(1, volume.array.shape[0] // 16)
    low, high = np.percentile(volume.array[::step, ::2, ::2], (1.0, 99.5))
    return Window(float(low + high) / 2, max(float(high - low), 1e-6))


def draw_plane(
    plane: Plane,
    spacing_mm: tuple[float, float],
    masks: Sequence[tuple[Mask, Colour]],
    window: Window,
    box: tuple[int, int],
) -> Image.Image:
    """One plane at true proportions, as large as fits into box (width, height); later masks lie above earlier ones."""
    height_mm, width_mm = plane.shape[0] * spacing_mm[0], plane.shape[1] * spacing_mm[1]
    scale = min(box[0] / width_mm, box[1] / height_mm)
    size = (max(1, round(width_mm * scale)), max(1, round(height_mm * scale)))
    black = window.centre - window.width / 2
    grey = np.clip((plane.astype(np.float32) - black) * (255.0 / window.width), 0, 255).astype(np.uint8)
    pixels = np.array(Image.fromarray(grey).resize(size, Image.Resampling.BILINEAR).convert("RGB"))
    for mask, colour in masks:
        pixels[_outline(mask, size)] = colour
    return Image.fromarray(pixels)


def _outline(mask: Mask, size: tuple[int, int]) -> Mask:
    """The rim of a mask drawn at `size`, inside it."""
    large = Image.fromarray(mask.astype(np.uint8) * 255).resize(size, Image.Resampling.BILINEAR)
    filled: Mask = np.asarray(large) > 127
    core = filled
    for _ in range(OUTLINE_PX):
        padded = np.pad(core, 1)
        core = padded[1:-1, 1:-1] & padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    return filled & ~core


def toward(direction: npt.NDArray[np.float64]) -> str:
    """The side of the patient a direction points to, as one letter."""
    axis = int(np.argmax(np.abs(direction)))
    return DIRECTIONS[axis][int(direction[axis] > 0)]


def opposite(letters: str) -> str:
    """The side across; of an oblique direction ("AR") letter by letter."""
    return "".join(next(b if a == letter else a for a, b in DIRECTIONS if letter in (a, b)) for letter in letters)


def drawn_masks(findings: Findings, card: ModelCard) -> list[tuple[Mask, Colour]]:
    """The masks that hold anything with their colours, in the card's order."""
    found = {segment.key: segment.mask for segment in findings.segments}
    return [(found[one.key], one.colour_rgb) for one in card.segments if one.key in found and found[one.key].any()]


def standing(array: npt.NDArray[T], affine_lps: Affine) -> npt.NDArray[T]:
    """The same voxels on axes (left, back, head), each the nearest of the patient's: a view, not a copy."""
    directions = affine_lps[:3, :3]
    free, order = [0, 1, 2], [0, 0, 0]
    for array_axis in np.argsort(-np.abs(directions).max(axis=0)):
        patient_axis = max(free, key=lambda axis, of=array_axis: abs(directions[axis, of]))  # type: ignore[misc]
        free.remove(patient_axis)
        order[patient_axis] = int(array_axis)
    turned = array.transpose(order)
    flips = tuple(
        slice(None, None, -1 if directions[axis, array_axis] < 0 else 1) for axis, array_axis in enumerate(order)
    )
    return turned[flips]
