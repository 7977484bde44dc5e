"""One picture of a run for people who have no viewer open: the findings from the front and from below."""

import io
from collections import Counter

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from ai.contract import ModelCard
from ai.findings import Findings, Mask
from ai.volume import Affine, Volume
from node.results.outlined import detected_masks, outlines_of
from node.results.pages import NOT_OUTLINED
from node.results.pictures import (
    DETECTION_COLOUR,
    Colour,
    Plane,
    T,
    Window,
    draw_plane,
    drawn_masks,
    standing,
    window_for,
)
from node.results.sheet import CAUTION, GROUND, INK, QUIET, font
from node.results.wording import DISCLAIMER, present_segments

PANEL_PX, GAP_PX, HEAD_PX, FOOT_PX = 640, 12, 48, 72
WIDTH = 2 * PANEL_PX + 3 * GAP_PX


def draw_overlay(findings: Findings, card: ModelCard, volume: Volume) -> bytes:
    """A PNG: the coronal and the axial plane that hold most of what was found, outlined, with a legend.

    Of an image without a place in a patient, the image itself.
    """
    picture = Image.new("RGB", (WIDTH, HEAD_PX + PANEL_PX + FOOT_PX), GROUND)
    if volume.affine_lps is None:
        _draw_image(picture, findings, card, volume)
    else:
        _draw_planes(picture, findings, card, volume, volume.affine_lps)
    draw = ImageDraw.Draw(picture)
    draw.text(
        (GAP_PX, HEAD_PX // 2), f"{card.title} ({card.name} {card.version})", font=font(22), fill=INK, anchor="lm"
    )
    _legend(draw, _named(findings, card))
    draw.text((GAP_PX, HEAD_PX + PANEL_PX + 52), DISCLAIMER, font=font(16), fill=CAUTION, anchor="lm")
    written = io.BytesIO()
    picture.save(written, format="PNG")
    return written.getvalue()


def _draw_image(picture: Image.Image, findings: Findings, card: ModelCard, volume: Volume) -> None:
    masks = [(mask[0], colour) for mask, colour in _outlined(findings, card, volume)]
    spacing = volume.spacing_mm[1:] if volume.spacing_mm else (1.0, 1.0)
    panel = draw_plane(volume.array[0], spacing, masks, window_for(volume, card), (PANEL_PX, PANEL_PX))
    picture.paste(panel, ((WIDTH - panel.width) // 2, HEAD_PX))


def _draw_planes(picture: Image.Image, findings: Findings, card: ModelCard, volume: Volume, affine_lps: Affine) -> None:
    window = window_for(volume, card)
    upright = standing(volume.array, affine_lps)
    masks = [(standing(mask, affine_lps), colour) for mask, colour in _outlined(findings, card, volume)]
    spacing = _standing_spacing(affine_lps)
    draw = ImageDraw.Draw(picture)
    for number, (name, axis) in enumerate((("coronal", 1), ("axial", 2))):
        index = _fullest([mask for mask, _ in masks], axis, upright.shape[axis])
        panel = _panel(upright, masks, axis, index, spacing, window)
        left = GAP_PX + number * (PANEL_PX + GAP_PX)
        place = (left + (PANEL_PX - panel.width) // 2, HEAD_PX + (PANEL_PX - panel.height) // 2)
        picture.paste(panel, place)
        for letter, x, anchor in (("R", left + 6, "lm"), ("L", left + PANEL_PX - 6, "rm")):
            at = (x, HEAD_PX + PANEL_PX // 2)
            draw.text(at, letter, font=font(22), fill=INK, anchor=anchor, stroke_width=2, stroke_fill=(0, 0, 0))
        at = (left + PANEL_PX // 2, HEAD_PX + PANEL_PX - 8)
        draw.text(at, name, font=font(18), fill=INK, anchor="mb", stroke_width=2, stroke_fill=(0, 0, 0))


def _outlined(findings: Findings, card: ModelCard, volume: Volume) -> list[tuple[Mask, Colour]]:
    """Everything that has an outline, on the voxels of the images."""
    masks = list(drawn_masks(findings, card))
    if findings.detections:
        detected = np.zeros(volume.array.shape, np.bool_)
        for index in {one.slice_index for found in findings.detections for one in outlines_of(found)}:
            for mask in detected_masks(findings.detections, index, volume.array.shape[1:]).values():
                detected[index] |= mask
        masks.append((detected, DETECTION_COLOUR))
    return masks


def _named(findings: Findings, card: ModelCard) -> list[tuple[str, Colour]]:
    """The names of what is outlined, with how many there are of what was detected several times."""
    named = [(one.label, one.colour_rgb) for one in present_segments(findings, card)]
    for key, count in Counter(one.key for one in findings.detections).items():
        label = card.detection(key).label
        named.append((label if count == 1 else f"{label} ({count})", DETECTION_COLOUR))
    return named


def _standing_spacing(affine_lps: Affine) -> tuple[float, float, float]:
    """Voxel size in mm along (left, back, head)."""
    directions = np.abs(affine_lps[:3, :3])
    sizes = np.linalg.norm(affine_lps[:3, :3], axis=0)
    left, back, head = (float(sizes[int(np.argmax(directions[axis]))]) for axis in range(3))
    return left, back, head


def _fullest(masks: list[Mask], axis: int, length: int) -> int:
    """The plane across an axis that holds most of what is outlined; the middle one of several that hold as much."""
    across = tuple(other for other in range(3) if other != axis)
    counts = np.sum([np.count_nonzero(mask, axis=across) for mask in masks], axis=0) if masks else None
    fullest = np.flatnonzero(counts == counts.max()) if counts is not None else np.arange(length)
    return int(fullest[len(fullest) // 2])


def _panel(
    upright: Plane,
    masks: list[tuple[Mask, Colour]],
    axis: int,
    index: int,
    spacing: tuple[float, float, float],
    window: Window,
) -> Image.Image:
    """Patient's right on the left; head, or front, on top."""
    row_mm = spacing[2] if axis == 1 else spacing[1]
    cut = [(_cut(mask, axis, index), colour) for mask, colour in masks]
    return draw_plane(_cut(upright, axis, index), (row_mm, spacing[0]), cut, window, (PANEL_PX, PANEL_PX))


def _cut(upright: npt.NDArray[T], axis: int, index: int) -> npt.NDArray[T]:
    return upright[:, index, ::-1].T if axis == 1 else upright[:, :, index].T


def _legend(draw: ImageDraw.ImageDraw, named: list[tuple[str, Colour]]) -> None:
    x, y = GAP_PX, HEAD_PX + PANEL_PX + 22
    for label, colour in named:
        draw.rectangle((x, y - 7, x + 14, y + 7), fill=colour)
        draw.text((x + 22, y), label, font=font(18), fill=INK, anchor="lm")
        x += 46 + int(font(18).getlength(label))
    if not named:
        draw.text((x, y), NOT_OUTLINED, font=font(18), fill=QUIET, anchor="lm")
