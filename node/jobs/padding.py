"""Pixels that are declared to be no image: round the image they get its lowest value, where they had a higher one."""

import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from node.errors import ReasonCode, Refused
from node.jobs.pixels import PixelLayout
from node.state.attributes import Attributes
from node.state.part10 import tags_of

KEYWORDS = {
    "PixelData": ("PixelPaddingValue", "PixelPaddingRangeLimit"),
    "FloatPixelData": ("FloatPixelPaddingValue", "FloatPixelPaddingRangeLimit"),
    "DoubleFloatPixelData": ("DoubleFloatPixelPaddingValue", "DoubleFloatPixelPaddingRangeLimit"),
}
"""What states the padding of each kind of pixels, and the other end of its range."""

TAGS = tags_of(" ".join(keyword for pair in KEYWORDS.values() for keyword in pair))

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Padding:
    """Stored values from `first` to `last`, both included (PS3.3 C.7.5.1.1.2)."""

    first: float
    last: float

    @classmethod
    def of(cls, header: Attributes, layout: PixelLayout) -> "Padding | None":
        """None where none is declared. Whole numbers have a sign where pixels do, whatever their own representation."""
        value, limit = (_stated(header, one, layout) for one in KEYWORDS[layout.keyword])
        if value is None:
            return None
        limit = value if limit is None else limit
        return cls(min(value, limit), max(value, limit))

    def is_stored(self, layout: PixelLayout) -> bool:
        """Whether a pixel's stored bits can hold it; some writers have it in all those that are allocated."""
        low, high = layout.limits
        return low <= self.first and self.last <= high

    def among(self, stored: npt.NDArray[Any]) -> Mask:
        """Which pixels of a frame hold it."""
        found: Mask = (stored >= self.first) & (stored <= self.last)
        return found


def _stated(header: Attributes, keyword: str, layout: PixelLayout) -> float | None:
    if layout.keyword != "PixelData":
        return header.number(keyword)
    raw = header.raw(keyword)
    if len(raw) != 2:
        return None
    order = "<" if header.is_little_endian(keyword) else ">"
    return int(struct.unpack(f"{order}{'h' if layout.is_signed else 'H'}", raw)[0])


class Surroundings:
    """The padding of a volume's slices that is brighter than something of its image, gathered as they are read."""

    def __init__(self) -> None:
        self._bright: dict[int, Mask] = {}

    def see(self, k: int, values: npt.NDArray[Any], padding: Mask) -> None:
        """Slice k with its values (rows, columns). Padding below all that is image is dark as it is."""
        if not padding.any():
            return
        if padding.all():
            self._bright[k] = padding
        elif values[padding].max() > values[~padding].min():
            self._bright[k] = _joined_to_edge(padding)

    def darken(self, array: npt.NDArray[Any]) -> None:
        """Give it the lowest value of the volume. Raises Refused where the volume is padding alone."""
        if not self._bright:
            return
        own = (plane[~self._bright[k]] if k in self._bright else plane for k, plane in enumerate(array))
        lowest = min((one.min() for one in own if one.size), default=None)
        if lowest is None:
            raise Refused(ReasonCode.NO_PIXELS, "every pixel is declared as padding (Pixel Padding Value)")
        for k, padding in self._bright.items():
            array[k][padding] = lowest


def _joined_to_edge(padding: Mask) -> Mask:
    """Padding is what makes an image rectangular, so that it lies outside. In the midst of an image the same value may
    be a measured one: headers name such values, and nobody could tell."""
    from scipy import ndimage  # takes a moment to import, and few images need it

    labels, _ = ndimage.label(padding)  # type: ignore[attr-defined]  # scipy makes it lazily
    sides = np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])
    joined: Mask = np.isin(labels, np.unique(sides[sides > 0]))
    return joined
