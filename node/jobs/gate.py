"""Decides whether a stack may go to a model; a refusal says why, in numbers."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from ai.contract import InputCard
from ai.quality import Quality
from node.core.placement import GAP_MM, LEAST_PHASES, placement_refusal, share_a_place
from node.core.study import Stack
from node.errors import ReasonCode, Refused

LOCALIZER = "LOCALIZER"

NAMED = 8
"""Parts that a message names."""


@dataclass(frozen=True)
class _Case:
    """What a check sees: one stack, the input it is meant for, and the other stacks of its series."""

    stack: Stack
    card: InputCard
    siblings: tuple[Stack, ...]


_Check = Callable[[_Case], Refused | None]


def check(stack: Stack, card: InputCard, siblings: Iterable[Stack] = ()) -> None:
    """Raise Refused with the first reason, in the order of CHECKS, why the stack does not suit the input.

    siblings: the other stacks of the series; they let a part of a mixed series be told from a short one.
    """
    case = _Case(stack, card, tuple(one for one in siblings if one.name != stack.name))
    for each in CHECKS:
        refusal = each(case)
        if refusal is not None:
            raise refusal


def check_quality(quality: Quality, card: InputCard) -> None:
    """Raise Refused with the first score that is below the least that is asked for, or that cannot be told."""
    for name, least in card.min_quality:
        found = quality.scores.get(name)
        if found is None:
            words = f"input {card.name}: {name} cannot be scored on such images, and at least {least:g} is asked for"
            raise Refused(ReasonCode.IMAGE_QUALITY, words)
        if found < least:
            words = f"input {card.name}: {name} scores {found:.2f} (1 is best), at least {least:g} is asked for"
            raise Refused(ReasonCode.IMAGE_QUALITY, words)


def _not_an_image(case: _Case) -> Refused | None:
    stack = case.stack
    if stack.rows is None or stack.columns is None:
        return Refused(ReasonCode.NOT_AN_IMAGE, "the objects have no rows and columns of pixels")
    if stack.samples_per_pixel is None:
        return Refused(ReasonCode.NOT_AN_IMAGE, "the images do not say how many samples a pixel has (SamplesPerPixel)")
    if stack.samples_per_pixel != 1:
        return Refused(
            ReasonCode.NOT_AN_IMAGE,
            f"the pictures have {stack.samples_per_pixel} samples per pixel: colour for the eye, not measured values",
        )
    return None


def _no_pixels(case: _Case) -> Refused | None:
    if case.stack.has_pixels:
        return None
    return Refused(ReasonCode.NO_PIXELS, "PixelData is missing or empty in at least one image")


def _modality(case: _Case) -> Refused | None:
    if case.stack.modality in case.card.modalities:
        return None
    found = case.stack.modality or "not stated"
    return Refused(ReasonCode.MODALITY, f"the modality is {found}, the model takes {' or '.join(case.card.modalities)}")


def is_localizer(stack: Stack) -> bool:
    """Whether its images are there to plan others."""
    return LOCALIZER in stack.image_type


def _localizer(case: _Case) -> Refused | None:
    if not is_localizer(case.stack):
        return None
    return Refused(ReasonCode.LOCALIZER, f"the images are a localizer (Image Type {'/'.join(case.stack.image_type)})")


def _parts(case: _Case) -> Refused | None:
    missing = case.stack.missing_parts
    if not missing:
        return None
    named = ", ".join(map(str, missing[:NAMED])) + (" …" if len(missing) > NAMED else "")
    words = f"the image was cut into several objects (a concatenation), and part {named} of it is missing"
    return Refused(ReasonCode.MISSING_SLICES, words)


def _placement(case: _Case) -> Refused | None:
    return placement_refusal(case.stack)


def _too_few_slices(case: _Case) -> Refused | None:
    stack, card = case.stack, case.card
    if stack.slice_count >= card.min_slices:
        return None
    planes = {one.orientation for one in (stack, *case.siblings) if one.orientation is not None}
    if len(planes) > 1:
        named = ", ".join(sorted(plane.value for plane in planes))
        return Refused(
            ReasonCode.MIXED_ORIENTATION,
            f"the series mixes slices of several orientations ({named}); "
            f"the largest set of one orientation has fewer than the {card.min_slices} slices needed",
        )
    alike = [one for one in case.siblings if share_a_place(one, stack)]
    if len(alike) + 1 >= LEAST_PHASES and stack.slice_count == 1:
        return Refused(
            ReasonCode.NOT_A_VOLUME,
            f"{len(alike) + 1} images lie at one place: phases over time (a cine), or repetitions",
        )
    if alike:
        return Refused(
            ReasonCode.DUPLICATE_SLICES, f"{len(alike) + 1} sets of images in the series lie at one and the same place"
        )
    return Refused(ReasonCode.TOO_FEW_SLICES, f"{stack.slice_count} slices are there, {card.min_slices} are needed")


def _coverage(case: _Case) -> Refused | None:
    covered, needed = case.stack.coverage_mm, case.card.min_coverage_mm
    if needed is None:
        return None
    if covered is None:
        return Refused(ReasonCode.COVERAGE, f"how much the scan covers is not known, {needed:.0f} mm are needed")
    if covered >= needed:
        return None
    return Refused(ReasonCode.COVERAGE, f"the scan covers {covered:.0f} mm, {needed:.0f} mm are needed")


def _orientation(case: _Case) -> Refused | None:
    found, taken = case.stack.orientation, case.card.orientations
    if not taken or (found is not None and found.value in taken):
        return None
    named = found.value if found is not None else "of no stated orientation"
    return Refused(
        ReasonCode.OUT_OF_DECLARED_LIMITS, f"the slices are {named}, the model takes {' or '.join(taken)} slices"
    )


def _slice_spacing(case: _Case) -> Refused | None:
    found, most = case.stack.spacing_mm, case.card.max_slice_spacing_mm
    if most is None or found is None or found <= most + GAP_MM:
        return None
    return Refused(
        ReasonCode.OUT_OF_DECLARED_LIMITS, f"slices are {found:.1f} mm apart, the model takes up to {most:.1f} mm"
    )


def _field(case: _Case) -> Refused | None:
    stack, least, most = case.stack, case.card.min_field_mm, case.card.max_field_mm
    if least is None and most is None:
        return None
    if stack.pixel_spacing_mm is None or stack.rows is None or stack.columns is None:
        return Refused(ReasonCode.OUT_OF_DECLARED_LIMITS, "the field of view is not known: PixelSpacing is missing")
    field = min(stack.rows * stack.pixel_spacing_mm[0], stack.columns * stack.pixel_spacing_mm[1])
    if least is not None and field < least:
        return Refused(
            ReasonCode.OUT_OF_DECLARED_LIMITS, f"the field of view is {field:.0f} mm, the model needs {least:.0f} mm"
        )
    if most is not None and field > most:
        return Refused(
            ReasonCode.OUT_OF_DECLARED_LIMITS, f"the field of view is {field:.0f} mm, the model takes {most:.0f} mm"
        )
    return None


CHECKS: tuple[_Check, ...] = (
    _not_an_image,
    _no_pixels,
    _modality,
    _localizer,
    _parts,
    _placement,
    _too_few_slices,
    _coverage,
    _orientation,
    _slice_spacing,
    _field,
)
"""All reasons in the order they are given: what it is, how it lies, how much there is, what the card takes."""
