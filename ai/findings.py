"""What a model returns: segments, numbers, assertions, detections, maps and images, named as its card names them."""

import unicodedata
from contextlib import suppress
from dataclasses import dataclass, fields
from enum import Enum

import numpy as np
import numpy.typing as npt

from ai.errors import shown

Mask = npt.NDArray[np.bool_]
Places = npt.NDArray[np.float64]
MOST_LINES, LONGEST_LINE = 500, 1000
"""Of a summary: no radiologist reads more, and a report of more takes minutes to write."""
MOST_CORNERS = 4000
"""Of a contour: a report's coordinates have a 16-bit length (PS3.5 section 7.1.2)."""
MOST_PAIRS = 1 << 18
"""Of lines of a contour that are looked at together."""
LEAST_AREA = 1e-6
"""Of a contour, in pixels: what rounding leaves of a line."""
CONTROLS, DIRECTIONS = ("Cc", "Cs"), ("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI")
"""Characters that no text of DICOM may hold, and those that make a line read otherwise than it is written."""


@dataclass(frozen=True)
class Segment:
    """One region as a mask on the grid of one input; masks of different segments may overlap.

    key: a segment of the card. mask: bool (slices, rows, columns). grid: name of the input whose grid it is on.
    """

    key: str
    mask: Mask
    grid: str

    def __post_init__(self) -> None:
        _check_plain(f"segment {self.key!r}", self.mask)
        if self.mask.dtype != np.bool_ or self.mask.ndim != 3:
            raise ValueError(f"segment {self.key!r}: a mask is bool and 3D, not {self.mask.dtype} {self.mask.shape}")
        object.__setattr__(self, "mask", np.asarray(self.mask))


@dataclass(frozen=True)
class Measurement:
    """One number, in the unit its card declares.

    key: a measurement of the card. segments: keys of the segments it was measured in; several where the value
    is derived from several regions together, none where it holds for the study.
    """

    key: str
    value: float
    segments: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "value", _number(f"measurement {self.key!r}", self.value))
        if not np.isfinite(self.value):
            raise ValueError(f"measurement {self.key!r} is {self.value}, not a finite number")
        if isinstance(self.segments, str):
            raise TypeError(f"measurement {self.key!r}: segments is a tuple of keys, not the text {self.segments!r}")
        object.__setattr__(self, "segments", tuple(self.segments))


@dataclass(frozen=True)
class Classification:
    """How probable it is, from 0 to 1, that the study shows what a classification of the card names."""

    key: str
    probability: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "probability", _number(f"classification {self.key!r}", self.probability))
        if not 0 <= self.probability <= 1:
            raise ValueError(f"classification {self.key!r}: {self.probability} is not a probability from 0 to 1")


class Shape(str, Enum):
    """How the points of a detection are meant."""

    POINT = "point"
    """One point."""
    BOX = "box"
    """Two opposite corners of a box along the grid's axes."""
    CONTOUR = "contour"
    """The corners of a polygon on one slice, in their order."""


@dataclass(frozen=True)
class Detection:
    """One thing found at one place.

    key: a detection of the card. points: float (n, 3), as (slice, row, column) of the grid of input `grid`, where whole
    numbers are the centres of voxels. score: from 0 to 1, None where the model gives none.
    """

    key: str
    shape: Shape
    points: Places
    grid: str
    score: float | None = None

    def __post_init__(self) -> None:
        what = f"detection {self.key!r}"
        if not isinstance(self.shape, Shape):
            raise TypeError(f"{what}: shape is one of Shape, not {shown(self.shape)}")
        _check_plain(what, self.points)
        if self.points.ndim != 2 or self.points.shape[1:] != (3,):
            raise ValueError(f"{what}: points are (n, 3), not {self.points.shape}")
        if self.points.dtype.kind not in "fiu" or not np.isfinite(self.points).all():
            raise ValueError(f"{what}: points are finite numbers")
        object.__setattr__(self, "points", np.asarray(self.points, np.float64))
        count, needed = len(self.points), {Shape.POINT: 1, Shape.BOX: 2}.get(self.shape)
        if (needed and count != needed) or (needed is None and count < 3):
            raise ValueError(f"{what}: {count} points are no {self.shape.value}")
        if self.shape is Shape.CONTOUR:
            _check_contour(what, self.points)
        if self.score is not None:
            object.__setattr__(self, "score", _number(f"detection {self.key!r}", self.score))
        if self.score is not None and not 0 <= self.score <= 1:
            raise ValueError(f"detection {self.key!r}: {self.score} is not a score from 0 to 1")


@dataclass(frozen=True)
class Map:
    """A quantity at every voxel of one input: a probability, a saliency, a perfusion.

    key: a map of the card, which states quantity and unit. values: finite float (slices, rows, columns), kept as
    float32. grid: name of the input whose grid it is on.
    """

    key: str
    values: npt.NDArray[np.float32]
    grid: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", _finite_volume(f"map {self.key!r}", self.values))


@dataclass(frozen=True)
class DerivedSeries:
    """Images made of one input's: denoised, sharpened, of another contrast.

    key: a derived series of the card. values: finite float (slices, rows, columns) in the quantity of the input (HU for
    CT), kept as float32. grid: name of the input they were made of, and on whose grid they are.
    """

    key: str
    values: npt.NDArray[np.float32]
    grid: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", _finite_volume(f"derived series {self.key!r}", self.values))


def _check_contour(what: str, points: Places) -> None:
    """Raises ValueError for what goes round nothing, or crosses itself. It may touch itself, and end where it began."""
    if len(points) > MOST_CORNERS:
        raise ValueError(f"{what}: {len(points)} points of a contour are more than {MOST_CORNERS}: leave some out")
    if np.ptp(points[:, 0]) > 0:
        raise ValueError(f"{what}: a contour lies on one slice")
    begins = points[:, 1:] - points[0, 1:]
    ends = np.roll(begins, -1, axis=0)
    together = max(1, MOST_PAIRS // len(points))
    for at in range(0, len(points), together):
        some = slice(at, at + together)
        one, other = np.nonzero(_cross(begins[some, np.newaxis], ends[some, np.newaxis], begins, ends))
        if len(one):
            lines = f"line {at + one[0] + 1} and line {other[0] + 1}"
            raise ValueError(f"{what}: a contour does not cross itself: {lines} of it do")
    if abs(_side(begins, ends).sum()) / 2 < LEAST_AREA:
        raise ValueError(f"{what}: a contour goes round something; its {len(points)} points go round nothing")


def _cross(begin: Places, end: Places, other_begin: Places, other_end: Places) -> npt.NDArray[np.bool_]:
    """Whether lines pass through each other; those that touch do not."""
    way, other_way = end - begin, other_end - other_begin
    crossing: npt.NDArray[np.bool_] = _lie_apart(_side(way, other_begin - begin), _side(way, other_end - begin))
    return crossing & _lie_apart(_side(other_way, begin - other_begin), _side(other_way, end - other_begin))


def _lie_apart(one: Places, other: Places) -> npt.NDArray[np.bool_]:
    apart: npt.NDArray[np.bool_] = (np.minimum(one, other) < -LEAST_AREA) & (np.maximum(one, other) > LEAST_AREA)
    return apart


def _side(way: Places, offset: Places) -> Places:
    """Of a line that runs that way, on which side a place lies: above 0 on the one, below on the other."""
    found: Places = way[..., 0] * offset[..., 1] - way[..., 1] * offset[..., 0]
    return found


def _number(what: str, value: object) -> float:
    """A number of Python, of which files and reports are made. numpy's and torch's are taken for what they are."""
    kind = getattr(getattr(value, "dtype", None), "kind", "f")
    if kind in "fiub" and not isinstance(value, str | bytes):
        with suppress(TypeError, ValueError, OverflowError):
            return float(value)  # type: ignore[arg-type]
    raise TypeError(f"{what} is {shown(value)}, a {type(value).__name__}, and not one number")


def _line(text: object) -> str:
    if not isinstance(text, str):
        raise TypeError(f"findings: summary is of texts, not of a {type(text).__name__}")
    if len(text) > LONGEST_LINE:
        raise ValueError(f"findings: a line of the summary has {len(text)} characters, more than {LONGEST_LINE}")
    return "".join(" " if _is_no_text(one) else one for one in text)


def _is_no_text(one: str) -> bool:
    return unicodedata.category(one) in CONTROLS or unicodedata.bidirectional(one) in DIRECTIONS


def _check_plain(what: str, values: object) -> None:
    """A masked array shows, to who does not know of masks, what its owner has hidden."""
    if not isinstance(values, np.ndarray) or isinstance(values, np.ma.MaskedArray):
        raise TypeError(f"{what}: values are a plain array of numpy, not a {type(values).__name__}")


def _finite_volume(what: str, values: npt.NDArray[np.generic]) -> npt.NDArray[np.float32]:
    _check_plain(what, values)
    if values.ndim != 3 or values.dtype.kind not in "fiu":
        raise ValueError(f"{what}: values are numbers and 3D, not {values.dtype} {values.shape}")
    found = np.asarray(values, dtype=np.float32)
    if not np.isfinite(found).all():
        raise ValueError(f"{what}: every value is a finite number that float32 holds")
    return found


@dataclass(frozen=True)
class Findings:
    """Everything one prediction found.

    summary: plain words for a radiologist, a sentence a line, without patient data.
    """

    segments: tuple[Segment, ...] = ()
    measurements: tuple[Measurement, ...] = ()
    summary: tuple[str, ...] = ()
    classifications: tuple[Classification, ...] = ()
    detections: tuple[Detection, ...] = ()
    maps: tuple[Map, ...] = ()
    derived: tuple[DerivedSeries, ...] = ()

    def __post_init__(self) -> None:
        """What can be gone through but once would be empty to whoever comes second: a finding that nobody sees."""
        for one in fields(self):
            given = getattr(self, one.name)
            if isinstance(given, list):
                object.__setattr__(self, one.name, tuple(given))
            elif not isinstance(given, tuple):
                raise TypeError(f"findings: {one.name} is a tuple, not a {type(given).__name__}")
        if len(self.summary) > MOST_LINES:
            raise ValueError(f"findings: the summary has {len(self.summary)} lines, more than {MOST_LINES}")
        object.__setattr__(self, "summary", tuple(map(_line, self.summary)))

    def segment(self, key: str) -> Segment | None:
        """The segment of that key, or None where the model did not find it."""
        return next((segment for segment in self.segments if segment.key == key), None)
