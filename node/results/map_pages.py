"""Pages of the summary that show maps: in colours over the slices where they are highest, with their scale."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from ai.contract import MapCard
from ai.findings import Findings, Map
from ai.volume import Volume
from node.results.keyslices import highest_slice
from node.results.pages import HEAD_PX, PICTURE_PX, frame_page
from node.results.pictures import Window, draw_plane
from node.results.sheet import INK, MARGIN, QUIET, WIDTH, font
from node.results.stamp import Edition
from node.results.wording import UNIT_WORDS

SLICES = 3
SCALE_PX = (256, 12)
LEAST_COVER, MOST_COVER = 0.15, 0.7
"""How much of the image the colours hide where a map is low, and where it is high."""

STOPS = np.array([[0, 0, 4], [87, 16, 110], [188, 55, 84], [249, 142, 9], [252, 255, 164]], np.float64)
"""Colours from low to high, evenly spaced: lightness rises all the way, so that they are read in grey as well."""


def draw_map_pages(
    findings: Findings, edition: Edition, volume: Volume, window: Window
) -> Iterator[tuple[int, Image.Image]]:
    """The slice and its page: for each map where it is highest, and the slices next to that in height."""
    for one in findings.maps:
        card = edition.card.map(one.key)
        peaks = one.values.max(axis=(1, 2))
        others = [int(index) for index in np.argsort(-peaks, kind="stable")[:SLICES] if peaks[index] > card.shown[0]]
        for index in sorted({highest_slice(one), *others}):
            yield index, _draw(index, one, card, volume, edition, window)


def _draw(index: int, one: Map, card: MapCard, volume: Volume, edition: Edition, window: Window) -> Image.Image:
    frame = edition.origin.frames[index]
    grey = draw_plane(volume.array[index], frame.pixel_spacing_mm, (), window, (WIDTH, PICTURE_PX))
    page = frame_page(coloured(grey, heights_of(one.values[index], card)), index, edition)
    _draw_scale(ImageDraw.Draw(page), page, card)
    return page


def heights_of(plane: npt.NDArray[np.float32], card: MapCard) -> npt.NDArray[np.float32]:
    """Values of a slice from 0 to 1 between the two ends of the colours."""
    low, high = card.shown
    heights: npt.NDArray[np.float32] = np.clip((plane - low) / (high - low), 0, 1).astype(np.float32)
    return heights


def coloured(grey: Image.Image, heights: npt.NDArray[np.float32]) -> Image.Image:
    """The picture with the colours over it; where the map is at its lowest, the picture alone."""
    shown = np.asarray(Image.fromarray(heights).resize(grey.size, Image.Resampling.BILINEAR))
    cover = np.where(shown > 0, LEAST_COVER + (MOST_COVER - LEAST_COVER) * shown, 0)[..., np.newaxis]
    mixed = np.asarray(grey) * (1 - cover) + colours_of(shown) * cover
    return Image.fromarray(mixed.round().astype(np.uint8))


def colours_of(heights: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    """RGB of values from 0 to 1."""
    places = np.linspace(0, 1, len(STOPS))
    return np.stack([np.interp(heights, places, STOPS[:, channel]) for channel in range(3)], axis=-1)


def _draw_scale(draw: ImageDraw.ImageDraw, page: Image.Image, card: MapCard) -> None:
    width, height = SCALE_PX
    left, top = MARGIN // 2, HEAD_PX + PICTURE_PX + 14
    bar = np.broadcast_to(colours_of(np.linspace(0, 1, width)).round().astype(np.uint8), (height, width, 3))
    low, high = (f"{value:g}" for value in card.shown)
    draw.text((left, top + height // 2), low, font=font(18), fill=QUIET, anchor="lm")
    left += int(font(18).getlength(low)) + 8
    page.paste(Image.fromarray(np.ascontiguousarray(bar)), (left, top))
    words = f"{high} {UNIT_WORDS.get(card.unit.value, card.unit.value)}".strip()
    left += width + 8
    draw.text((left, top + height // 2), words, font=font(18), fill=QUIET, anchor="lm")
    left += int(font(18).getlength(words)) + 24
    draw.text((left, top + height // 2), card.label, font=font(18), fill=INK, anchor="lm")
