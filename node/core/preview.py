"""What the preview of a run shows beside its pictures, and the ways in which values become grey."""

from dataclasses import dataclass


@dataclass(frozen=True)
class View:
    """A window: values at `centre` are mid-grey; half of `width` to either side of it lie black and white."""

    name: str
    centre: float
    width: float


CT_VIEWS = (
    View("lung", -600.0, 1500.0),
    View("soft tissue", 40.0, 400.0),
    View("bone", 480.0, 2500.0),
    View("brain", 40.0, 80.0),
    View("liver", 80.0, 160.0),
)
"""In HU; the presets that viewers offer."""


@dataclass(frozen=True)
class Drawn:
    """What is drawn, in the legend: segments, detections, maps. slices: on how many it is."""

    label: str
    colour_rgb: tuple[int, int, int]
    slices: int


@dataclass(frozen=True)
class Measured:
    """One number with its unit, as people read it."""

    region: str
    name: str
    value: str


@dataclass(frozen=True)
class Preview:
    """A run's source slices and findings. start: the slice with most of what was found, counted from 0."""

    job_id: str
    run: int
    slice_count: int
    start: int
    views: tuple[View, ...]
    drawn: tuple[Drawn, ...]
    measured: tuple[Measured, ...]
    summary: tuple[str, ...]
