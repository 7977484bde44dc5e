"""Paper for the pages of a summary: colours, type and lines of text that break where the page ends."""

from collections.abc import Sequence
from functools import cache

from PIL import Image, ImageDraw, ImageFont

Colour = tuple[int, int, int]
Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

WIDTH, HEIGHT = 768, 896
MARGIN = 32
COLUMN_PX = 140
GROUND: Colour = (14, 16, 20)
INK: Colour = (236, 239, 244)
QUIET: Colour = (150, 158, 170)
RULE: Colour = (52, 58, 68)
CAUTION: Colour = (255, 196, 77)


@cache
def font(size: int) -> Font:
    """Pillow's own typeface: no font file of the machine decides how a result looks."""
    return ImageFont.load_default(size=size)


class Sheet:
    """Pages filled from top to bottom; a line that no longer fits begins the next page."""

    def __init__(self, foot: str) -> None:
        self.pages: list[Image.Image] = []
        self._foot = foot
        self._new_page()

    def line(self, text: str, size: int = 20, colour: Colour = INK, *, indent: int = 0, gap: int = 6) -> None:
        """A paragraph, wrapped at the page's width."""
        for part in wrap(text, size, WIDTH - 2 * MARGIN - indent):
            self._room(size + gap)
            self._draw.text((MARGIN + indent, self._top), part, font=font(size), fill=colour)
            self._top += size + gap

    def heads(self, columns: Sequence[tuple[str, Sequence[Colour]]]) -> None:
        """The heads of a table's columns of numbers, each with its colours, wrapped."""
        wrapped = [wrap(text, 18, COLUMN_PX - 12 - 18 * len(chips)) for text, chips in columns]
        self._room(24 * max(len(parts) for parts in wrapped) + 70)
        self._top += 10
        for number, ((_, chips), parts) in enumerate(zip(columns, wrapped, strict=True)):
            right = self._right_edge(number, len(columns))
            widest = max(font(18).getlength(part) for part in parts)
            for place, chip in enumerate(reversed(chips)):
                x = right - widest - 20 - 18 * place
                self._draw.rectangle((x, self._top + 3, x + 13, self._top + 16), fill=chip)
            for line, part in enumerate(parts):
                at = (right, self._top + 24 * line)
                self._draw.text(at, part, font=font(18), fill=QUIET, anchor="ra")
        self._top += 24 * max(len(parts) for parts in wrapped) + 8

    def row(self, name: str, values: Sequence[str]) -> None:
        """A row of a table: the name wrapped on the left, the numbers in their columns."""
        parts = wrap(name, 20, WIDTH - 2 * MARGIN - COLUMN_PX * len(values) - 8)
        self._room(26 * len(parts) + 8)
        for line, part in enumerate(parts):
            self._draw.text((MARGIN, self._top + 26 * line), part, font=font(20), fill=INK)
        for number, value in enumerate(values):
            at = (self._right_edge(number, len(values)), self._top)
            self._draw.text(at, value, font=font(20), fill=INK, anchor="ra")
        self._top += 26 * len(parts) + 8

    @staticmethod
    def _right_edge(number: int, count: int) -> int:
        return WIDTH - MARGIN - COLUMN_PX * (count - 1 - number)

    def rule(self, gap: int = 10) -> None:
        self._room(2 * gap)
        self._top += gap
        self._draw.line((MARGIN, self._top, WIDTH - MARGIN, self._top), fill=RULE, width=1)
        self._top += gap

    def banner(self, text: str, size: int = 22) -> None:
        """A caution across the page."""
        parts = wrap(text, size, WIDTH - 2 * MARGIN - 32)
        height = len(parts) * (size + 6) + 22
        self._room(height + 12)
        box = (MARGIN, self._top, WIDTH - MARGIN, self._top + height)
        self._draw.rectangle(box, outline=CAUTION, width=2)
        for number, part in enumerate(parts):
            place = (MARGIN + 16, self._top + 12 + number * (size + 6))
            self._draw.text(place, part, font=font(size), fill=CAUTION)
        self._top += height + 12

    def _room(self, height: int) -> None:
        if self._top + height > HEIGHT - MARGIN - 28:
            self._new_page()

    def _new_page(self) -> None:
        page = Image.new("RGB", (WIDTH, HEIGHT), GROUND)
        self._draw = ImageDraw.Draw(page)
        self._draw.text((MARGIN, HEIGHT - MARGIN), self._foot, font=font(16), fill=CAUTION, anchor="lm")
        self.pages.append(page)
        self._top = MARGIN


def wrap(text: str, size: int, width: int) -> list[str]:
    """The text in lines no wider than `width` pixels."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and font(size).getlength(longer) > width:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines
