"""Maps as colours over a picture, for the summary's pages and the operator's pictures alike."""

import numpy as np
import numpy.typing as npt
from PIL import Image

from ai.contract import MapCard

LEAST_COVER, MOST_COVER = 0.15, 0.7
"""How much of the image the colours hide where a map is low, and where it is high."""

STOPS = np.array([[0, 0, 4], [87, 16, 110], [188, 55, 84], [249, 142, 9], [252, 255, 164]], np.float64)
"""Colours from low to high, evenly spaced: lightness rises all the way, so that they are read in grey as well."""


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
