"""The plug-in interface: what a model is, and the card on which it declares itself."""

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from ai.device import Device
from ai.errors import CardInvalid, shown
from ai.findings import Findings
from ai.step import Chain
from ai.volume import Inputs

Predict = Callable[[Inputs], Findings]
"""One prediction. May raise ModelRefused (unsuitable input, with the reason) or ModelFailed."""

Loaded = TypeVar("Loaded")
Said = TypeVar("Said")


@dataclass(frozen=True)
class InParts(Generic[Loaded, Said]):
    """A Predict in three parts, so that one study is loaded, and another finished, while the device computes a third.

    Only `compute` needs the device; the others may run beside it, in other threads.
    """

    load: Callable[[Inputs], Loaded]
    compute: Callable[[Loaded], Said]
    finish: Callable[[Said], Findings]

    def __call__(self, inputs: Inputs) -> Findings:
        return self.finish(self.compute(self.load(inputs)))


KEY = re.compile(r"(?=.{1,64}$)[a-z0-9]+(-[a-z0-9]+)*")
"""Models and inputs are called so, and their files; DICOM's labels hold no more."""


@dataclass(frozen=True)
class Code:
    """A coded concept, as in PS3.3 section 8: value, coding scheme designator, meaning."""

    value: str
    scheme: str
    meaning: str


@dataclass(frozen=True)
class SegmentCard:
    """How one segment is named, coded and drawn."""

    key: str
    label: str
    category: Code
    type: Code
    modifier: Code | None
    site: Code
    laterality: Code | None
    colour_rgb: tuple[int, int, int]


@dataclass(frozen=True)
class MeasurementCard:
    """How one measurement is named and coded; `digits` is the number of decimals that are meaningful."""

    key: str
    label: str
    name: Code
    unit: Code
    digits: int
    derivation: Code | None
    method: Code | None


@dataclass(frozen=True)
class MeasureCard:
    """Features that are measured of segments (ai/measures/table.py), each of which becomes a measurement of the card.

    grey_levels: into how many bins a segment's values are put for its texture. grey_level_width, grey_level_start:
    instead of it, bins of that width from there on, in units of the image; without a start, from the smallest value.
    """

    segments: tuple[str, ...]
    features: tuple[str, ...]
    grey_levels: int | None
    grey_level_width: float | None
    grey_level_start: float | None


@dataclass(frozen=True)
class ClassificationCard:
    """What one classification asserts of the study.

    threshold: the operating point, from 0 to 1: from there on the finding counts as present. significance: its level
    where it is present (PS3.16 CID 220), for triage; None where the model does not rank.
    """

    key: str
    label: str
    finding: Code
    site: Code
    laterality: Code | None
    threshold: float
    significance: Code | None


@dataclass(frozen=True)
class DetectionCard:
    """How one kind of detection is named and coded. threshold: the score from which on the model reports it."""

    key: str
    label: str
    type: Code
    site: Code
    laterality: Code | None
    threshold: float | None


@dataclass(frozen=True)
class MapCard:
    """How one map is named and coded. quantity: what each value is (PS3.16 CID 7180).

    shown: the values at the two ends of the colours in which it is drawn.
    """

    key: str
    label: str
    quantity: Code
    unit: Code
    shown: tuple[float, float]


@dataclass(frozen=True)
class DerivedCard:
    """How one derived series is named. derivation: how the images came of their source (PS3.16 CID 7203)."""

    key: str
    label: str
    derivation: Code


@dataclass(frozen=True)
class InputCard:
    """What one input must be; the gate refuses a stack outside these limits before the model runs.

    modalities: any of these. Lengths in mm; None means no limit. `coverage_mm` is measured along the slice normal,
    `field_mm` is the smaller in-plane extent. min_quality: the least score of some qualities (ai/quality.py), by name.
    """

    name: str
    modalities: tuple[str, ...]
    orientations: tuple[str, ...]
    min_slices: int
    max_slice_spacing_mm: float | None
    min_coverage_mm: float | None
    min_field_mm: float | None
    max_field_mm: float | None
    min_quality: tuple[tuple[str, float], ...] = ()


_Named = TypeVar("_Named", SegmentCard, MeasurementCard, ClassificationCard, DetectionCard, MapCard, DerivedCard)


@dataclass(frozen=True)
class ModelCard:
    """A model's declaration of itself; `digest` is the SHA-256 of what decides its output (code, card, weights)."""

    name: str
    version: str
    vendor: str
    title: str
    intended_use: str
    not_validated_for: tuple[str, ...]
    licence: str
    memory_mb: int
    timeout_s: int
    inputs: tuple[InputCard, ...]
    reference: str
    segments: tuple[SegmentCard, ...]
    measurements: tuple[MeasurementCard, ...]
    digest: str
    classifications: tuple[ClassificationCard, ...] = ()
    detections: tuple[DetectionCard, ...] = ()
    maps: tuple[MapCard, ...] = ()
    derived: tuple[DerivedCard, ...] = ()
    prepare: Chain = ()
    """Steps from the inputs as read to what a network computes on; a model in code may do its own."""
    finish: Chain = ()
    """Steps from what a network computed to labels."""
    measures: tuple[MeasureCard, ...] = ()

    def __post_init__(self) -> None:
        for what, keys in self._keys():
            for key in keys:
                if not KEY.fullmatch(key):
                    words = "lower-case words joined by hyphens, 64 letters at most"
                    raise CardInvalid(f"{shown(self.name)}: {what} must be {words}, found {shown(key)}")
            if len(set(keys)) != len(keys):
                raise CardInvalid(f"{self.name}: every {what} must be named once; found {keys}")
        if self.reference not in {one.name for one in self.inputs}:
            raise CardInvalid(f"{self.name}: reference {self.reference!r} is not one of its inputs")
        for key in {key for one in self.measures for key in one.segments}:
            self.segment(key)

    def _keys(self) -> Iterator[tuple[str, list[str]]]:
        yield "model name", [self.name]
        yield "input", [one.name for one in self.inputs]
        yield "segment", [one.key for one in self.segments]
        yield "measurement", [one.key for one in self.measurements]
        yield "classification", [one.key for one in self.classifications]
        yield "detection", [one.key for one in self.detections]
        yield "map", [one.key for one in self.maps]
        yield "derived series", [one.key for one in self.derived]

    def segment(self, key: str) -> SegmentCard:
        """The segment's card. Raises CardInvalid where the card does not declare it, as do all of these."""
        return self._declared(self.segments, "segment", key)

    def measurement(self, key: str) -> MeasurementCard:
        return self._declared(self.measurements, "measurement", key)

    def classification(self, key: str) -> ClassificationCard:
        return self._declared(self.classifications, "classification", key)

    def detection(self, key: str) -> DetectionCard:
        return self._declared(self.detections, "detection", key)

    def map(self, key: str) -> MapCard:
        return self._declared(self.maps, "map", key)

    def derived_series(self, key: str) -> DerivedCard:
        return self._declared(self.derived, "derived", key)

    def _declared(self, cards: Sequence[_Named], table: str, key: str) -> _Named:
        for one in cards:
            if one.key == key:
                return one
        raise CardInvalid(f"{self.name}: its card declares no {table} {key!r}; add a [[{table}]] for it")


class Model(Protocol):
    """A model: its card, and how to open it for predictions."""

    @property
    def card(self) -> ModelCard: ...

    def open(self, device: Device) -> AbstractContextManager[Predict]:
        """Load what is needed (weights, buffers) and yield the prediction; the caller keeps it open and warm."""
        ...
