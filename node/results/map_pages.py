"""Pages of the summary that show maps: in colours over the slices where they are highest, with their scale."""

from collections.abc import Iterator

import numpy as np
from PIL import Image, ImageDraw

from ai.contract import MapCard
from ai.findings import Findings, Map
from ai.volume import Volume
from node.results.colouring import coloured, colours_of, heights_of
from node.results.keyslices import highest_slice
from node.results.pages import HEAD_PX, PICTURE_PX, frame_page
from node.results.pictures import Window, draw_plane
from node.results.sheet import INK, MARGIN, QUIET, WIDTH, font
from node.results.stamp import Edition
from node.results.wording import UNIT_WORDS

SLICES = 3
SCALE_PX = (256, 12)


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
