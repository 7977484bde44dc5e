"""Pictures of a model's inputs after each step of its preparation, for whoever writes a card."""

import io
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from ai.preparation.images import Array
from ai.preparation.pipeline import Prepared, each_step
from ai.preparation.placed import Placed
from ai.step import Chain
from ai.volume import Inputs

SIDE_PX = 320
"""Each plane fits into a square of this size."""
LINE_PX, MARGIN_PX, TEXT_PX = 18, 8, 13
SHOWN = (0.5, 99.5)
"""Percentiles that are shown black and white."""


def pictures(inputs: Inputs, chain: Chain) -> Iterator[tuple[str, bytes]]:
    """A name and a PNG of the inputs as they came, then of each step. Raises ModelRefused where a step refuses."""
    for number, (chosen, prepared) in enumerate(each_step(inputs, chain)):
        name = "as-read" if chosen is None else chosen.step.name
        title = "as read" if chosen is None else f"{number}. {chosen}"
        yield f"{number:02d}-{name}", _picture(title, prepared)


def _picture(title: str, prepared: Prepared) -> bytes:
    rows = [(_caption(name, placed), _planes(placed)) for name, placed in prepared.placed.items()]
    height = LINE_PX + sum(2 * LINE_PX + SIDE_PX + MARGIN_PX for _ in rows)
    page = Image.new("L", (3 * (SIDE_PX + MARGIN_PX) + MARGIN_PX, height + MARGIN_PX), 24)
    draw, font = ImageDraw.Draw(page), ImageFont.load_default(TEXT_PX)
    draw.text((MARGIN_PX, 3), title, 255, font)
    top = LINE_PX
    for (first, second), planes in rows:
        draw.text((MARGIN_PX, top), first, 200, font)
        draw.text((MARGIN_PX, top + LINE_PX), second, 200, font)
        top += 2 * LINE_PX
        for column, plane in enumerate(planes):
            page.paste(plane, (MARGIN_PX + column * (SIDE_PX + MARGIN_PX), top))
        top += SIDE_PX + MARGIN_PX
    made = io.BytesIO()
    page.save(made, "PNG")
    return made.getvalue()


def _caption(name: str, placed: Placed) -> tuple[str, str]:
    array, spacing = placed.array, placed.volume.spacing_mm
    size = " x ".join(str(one) for one in placed.shape)
    mm = "not calibrated" if spacing is None else " x ".join(f"{one:.3g}" for one in spacing) + " mm"
    values = f"{array.dtype}, {float(array.min()):g} to {float(array.max()):g}, mean {float(array.mean()):.4g}"
    return f"{name}: {size}, {mm}, axes {_axes(placed)}", values


def _axes(placed: Placed) -> str:
    """The directions in the patient in which the axes run, as `orient` names them."""
    affine = placed.volume.affine_lps
    if affine is None:
        return "unknown"
    largest = np.abs(affine[:3, :3]).argmax(axis=0)
    return "".join("LPS"[row] if affine[row, axis] > 0 else "RAI"[row] for axis, row in enumerate(largest))


def _planes(placed: Placed) -> Iterator[Image.Image]:
    """The planes across each axis through the middle, in their shape in mm, the first axis of each running down."""
    low, high = _shown(placed.array)
    spacing = placed.volume.spacing_mm or (1.0, 1.0, 1.0)
    for axis in range(3 if placed.shape[0] > 1 else 1):
        plane = np.take(placed.array, placed.shape[axis] // 2, axis=axis).astype(np.float64)
        grey = np.clip((plane - low) / (high - low), 0, 1) * 255
        down, right = (one for other, one in enumerate(spacing) if other != axis)
        yield _fitted(grey.astype(np.uint8), plane.shape[0] * down, plane.shape[1] * right)


def _fitted(grey: npt.NDArray[np.uint8], height_mm: float, width_mm: float) -> Image.Image:
    scale = SIDE_PX / max(height_mm, width_mm)
    size = max(1, round(width_mm * scale)), max(1, round(height_mm * scale))
    return Image.fromarray(grey).resize(size, Image.Resampling.NEAREST)


def _shown(array: Array) -> tuple[float, float]:
    """Black and white; all of the range where there are labels or two values only."""
    low, high = (float(one) for one in np.percentile(array, SHOWN))
    if array.dtype == np.uint8 or not high > low:
        low, high = float(array.min()), float(array.max())
    return low, high if high > low else low + 1
