"""Splits the images of series into stacks: slices that belong together, in order along their normal."""

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import TypeVar

from node.core import geometry
from node.core.study import FrameFacts, InstanceFacts, InstanceKind, Stack, StackFrame, Vector

ORIENTATION_TOLERANCE = 1e-3
"""Cosines closer than this are one direction: 0.06 degrees, 0.25 mm at the edge of a 500 mm field."""

PIXEL_SPACING_TOLERANCE_MM = 1e-4
"""In-plane spacings closer than this are one grid: 0.05 mm over 512 pixels."""

ECHO_TOLERANCE_MS = 0.05
B_VALUE_TOLERANCE = 1.0
"""s/mm²: the nominal value, rounded by some scanners to what the gradients reached."""

SAME_PLACE_MM = 0.05
"""Slices closer than this lie at one place: half the smallest increment scanners reconstruct (0.1 mm)."""

ONE_VOLUME_MODALITIES = {"CT", "MR", "PT"}
"""Where images of a series without geometry are held together, so that the gate can say what is missing.

Elsewhere an image without geometry is a picture of its own (a radiograph's views, screen shots).
"""

_T = TypeVar("_T")


@dataclass(frozen=True)
class _Slice:
    """One frame with the facts of its instance."""

    instance: InstanceFacts
    number: int
    facts: FrameFacts

    @property
    def has_geometry(self) -> bool:
        return self.facts.position_lps_mm is not None and self.facts.orientation is not None

    @property
    def arrival_free_key(self) -> tuple[bool, int, str, int]:
        """Orders slices by what they are, never by when they came."""
        number = self.instance.instance_number
        return (number is None, number or 0, self.instance.sop_instance_uid, self.number)

    def along_mm(self, normal: Vector) -> float:
        return geometry.dot(self.facts.position_lps_mm or (0.0, 0.0, 0.0), normal)


def split_into_stacks(instances: Sequence[InstanceFacts]) -> tuple[Stack, ...]:
    """The stacks of all images among the instances, by series, numbered from 1 in order of instance number.

    The same instances give the same stacks in whatever order they come; every frame of every image is in one.
    """
    slices = [
        _Slice(instance, number, facts)
        for instance in instances
        if instance.kind is InstanceKind.IMAGE
        for number, facts in enumerate(instance.frames, 1)
    ]
    missing, found = _missing_parts(instances), list[Stack]()
    for series in _grouped(slices, lambda one: one.instance.series_uid):
        groups = [group for alike in _told_apart(series) for group in _by_acquisition(alike)]
        ordered = sorted((_along_normal(group) for group in groups), key=_first_number)
        found.extend(_stack(number, group, missing) for number, group in enumerate(ordered, 1))
    return tuple(sorted(found, key=lambda stack: (stack.series_uid, stack.number)))


def _missing_parts(instances: Iterable[InstanceFacts]) -> dict[str, tuple[int, ...]]:
    """By concatenation: which of its parts are not there. A volume without its first or last frames looks whole."""
    parts: dict[str, list[tuple[int, int]]] = {}
    for one in instances:
        if one.concatenation is not None:
            name, number, count = one.concatenation
            parts.setdefault(name, []).append((number, max(number, count or 0)))
    found = {}
    for name, numbers in parts.items():
        whole = set(range(1, max(count for _, count in numbers) + 1))
        found[name] = tuple(sorted(whole - {number for number, _ in numbers}))
    return found


def _told_apart(slices: list[_Slice]) -> Iterable[list[_Slice]]:
    """Groups in which everything that is no place agrees.

    All values of Image Type count (localizer, water and fat, magnitude and phase stand anywhere in it): a mixture
    of contrasts would be analysed as if it were one image, whereas a split shows as missing or too few slices.
    """
    for alike in _grouped(slices, _kind_of_image):
        near = [alike]
        for tolerance, numbers in _NEAR:
            near = [part for group in near for part in _parted(group, numbers, tolerance)]
        yield from near


def _kind_of_image(one: _Slice) -> Hashable:
    instance, facts = one.instance, one.facts
    image_type = tuple(value.strip().upper() for value in facts.image_type)
    alone = not one.has_geometry and instance.modality not in ONE_VOLUME_MODALITIES
    return (
        instance.sop_class_uid,
        instance.modality,
        instance.rows,
        instance.columns,
        instance.samples_per_pixel,
        image_type,
        facts.temporal_position,
        facts.stack,
        facts.dimension,
        one.has_geometry,
        instance.sop_instance_uid if alone else "",
    )


_NEAR: tuple[tuple[float, Callable[[FrameFacts], tuple[float, ...]]], ...] = (
    (ORIENTATION_TOLERANCE, lambda facts: facts.orientation or ()),
    (PIXEL_SPACING_TOLERANCE_MM, lambda facts: facts.pixel_spacing_mm or ()),
    (ECHO_TOLERANCE_MS, lambda facts: () if facts.echo_time_ms is None else (facts.echo_time_ms,)),
    (B_VALUE_TOLERANCE, lambda facts: () if facts.b_value is None else (facts.b_value,)),
)
"""Numbers that differ by rounding within one volume, with the step above which they tell stacks apart."""


def _parted(
    slices: list[_Slice], numbers: Callable[[FrameFacts], tuple[float, ...]], tolerance: float
) -> list[list[_Slice]]:
    """Parts between which one of the numbers steps by more than the tolerance.

    Cutting at steps, not rounding, keeps values together that lie on two sides of a rounding edge. A chain of small
    steps stays together; the gate measures every slice against the first and refuses one that drifted.
    """
    parts = _grouped(slices, lambda one: len(numbers(one.facts)))
    for axis in range(max(len(numbers(part[0].facts)) for part in parts)):
        parts = [cut for part in parts for cut in _cut_at_steps(part, numbers, axis, tolerance)]
    return parts


def _cut_at_steps(
    slices: list[_Slice], numbers: Callable[[FrameFacts], tuple[float, ...]], axis: int, tolerance: float
) -> list[list[_Slice]]:
    if axis >= len(numbers(slices[0].facts)):
        return [slices]
    ordered = sorted(slices, key=lambda one: numbers(one.facts)[axis])
    cuts: list[list[_Slice]] = [ordered[:1]]
    for before, after in pairwise(ordered):
        if numbers(after.facts)[axis] - numbers(before.facts)[axis] > tolerance:
            cuts.append([])
        cuts[-1].append(after)
    return cuts


def _by_acquisition(slices: list[_Slice]) -> list[list[_Slice]]:
    """One group per acquisition where several imaged the same place (phases, perfusion), else all together.

    Scanners also number each rotation or table step of one volume: those lie beside each other or interleave, and
    pulling them apart would tear the volume. Where only a few places are repeated the volume is torn nevertheless
    and refused: which of two images of one place belongs to it cannot be known.
    """
    acquisitions = _grouped(slices, lambda one: one.facts.acquisition)
    if len(acquisitions) == 1 or not slices[0].has_geometry:
        return [slices]
    normal = _normal(slices)
    places = sorted((one.along_mm(normal), number) for number, group in enumerate(acquisitions) for one in group)
    shared = any(after[0] - before[0] < SAME_PLACE_MM and after[1] != before[1] for before, after in pairwise(places))
    return acquisitions if shared else [slices]


def _normal(slices: list[_Slice]) -> Vector:
    """The group's normal, from the same slice in whatever order they came."""
    return geometry.normal(min(one.facts.orientation for one in slices if one.facts.orientation is not None))


def _along_normal(slices: list[_Slice]) -> list[_Slice]:
    """Ascending along the normal; in order of instance number where places are equal or unknown."""
    ordered = sorted(slices, key=lambda one: one.arrival_free_key)
    if not slices[0].has_geometry:
        return ordered
    normal = _normal(slices)
    return sorted(ordered, key=lambda one: one.along_mm(normal))


def _first_number(slices: list[_Slice]) -> tuple[bool, int, tuple[float, ...], str, int]:
    """Orders the stacks of a series: by their lowest instance number, then by place."""
    first = min(slices, key=lambda one: one.arrival_free_key)
    unnumbered, number, name, frame = first.arrival_free_key
    return (unnumbered, number, slices[0].facts.position_lps_mm or (), name, frame)


def _stack(number: int, slices: list[_Slice], missing: Mapping[str, tuple[int, ...]]) -> Stack:
    first, facts = slices[0].instance, slices[0].facts
    names = {one.instance.concatenation[0] for one in slices if one.instance.concatenation is not None}
    spacing, coverage, thickness = None, None, _agreed(one.facts.slice_thickness_mm for one in slices)
    if slices[0].has_geometry:
        normal = _normal(slices)
        places = [one.along_mm(normal) for one in slices]
        gaps = [gap for gap in geometry.gaps_mm(places) if gap >= SAME_PLACE_MM]
        spacing = median(gaps) if gaps else None
        edge = spacing if spacing is not None else thickness
        coverage = None if edge is None else places[-1] - places[0] + edge
    return Stack(
        series_uid=first.series_uid,
        number=number,
        frames=tuple(_frame(one) for one in slices),
        modality=first.modality,
        description=first.series_description,
        series_number=first.series_number,
        body_part=_agreed(one.instance.body_part for one in slices),
        image_type=facts.image_type,
        orientation=geometry.plane_of(facts.orientation) if facts.orientation and slices[0].has_geometry else None,
        rows=first.rows,
        columns=first.columns,
        pixel_spacing_mm=facts.pixel_spacing_mm,
        slice_thickness_mm=thickness,
        spacing_mm=spacing,
        coverage_mm=coverage,
        kernel=_agreed(one.instance.kernel for one in slices),
        contrast=_agreed(one.instance.contrast for one in slices),
        gantry_tilt_deg=max(
            (t for one in slices if (t := one.instance.gantry_tilt_deg) is not None), key=abs, default=None
        ),
        laterality=_agreed(one.instance.laterality for one in slices),
        view=_agreed(one.instance.view for one in slices),
        has_pixels=all(one.instance.has_pixels for one in slices),
        samples_per_pixel=first.samples_per_pixel,
        calibrated_at=_agreed(one.instance.calibrated_at for one in slices),
        sop_class_uid=first.sop_class_uid,
        missing_parts=next((gone for name in sorted(names) if (gone := missing[name])), ()),
    )


def _frame(one: _Slice) -> StackFrame:
    return StackFrame(
        sop_instance_uid=one.instance.sop_instance_uid,
        frame_number=one.number,
        instance_number=one.instance.instance_number,
        frame_of_reference_uid=one.instance.frame_of_reference_uid,
        facts=one.facts,
    )


def _agreed(values: Iterable[_T | None]) -> _T | None:
    """The value that all state which state one; None where they differ, for then none holds for the stack."""
    stated = {value for value in values if value is not None}
    return stated.pop() if len(stated) == 1 else None


def _grouped(slices: list[_Slice], key: Callable[[_Slice], Hashable]) -> list[list[_Slice]]:
    groups: dict[Hashable, list[_Slice]] = {}
    for one in slices:
        groups.setdefault(key(one), []).append(one)
    return list(groups.values())
