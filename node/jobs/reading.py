"""Reads a stack's files into a volume; the only place where pixels leave DICOM."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ai.volume import Affine, Facts, Volume
from node.core import geometry
from node.core.identity import InstanceUID, StudyUID, derived_uid
from node.core.placement import placement_refusal
from node.core.stacks import ONE_VOLUME_MODALITIES
from node.core.study import InstanceFacts, SourceGrid, Stack
from node.errors import NotFound, ReasonCode, Refused, Unreadable
from node.jobs import padding, pixels, rescale, uptake
from node.state.header import read_facts
from node.state.part10 import opened, tags_of

TAGS = [*tags_of("SOPInstanceUID"), *pixels.TAGS, *rescale.TAGS, *padding.TAGS, *uptake.TAGS]

VOLUME_PIXELS = 1 << 31
"""The largest volume that is read: 4 GiB of 16-bit values, 8192 slices of 512 x 512."""

INFLATED_HEADER_BYTES = 64 << 20
"""Room for the header of a deflated instance, on top of the pixels its stack announces."""

QUANTITIES = {"CT": "density", "PT": "activity"}

HOUNSFIELD = (None, "HU", "HU_MOD", "US")
"""Rescale Types of CT (PS3.3 C.11.1.1.2) whose values are densities; US is left by writers who do not say."""

INT16 = np.iinfo(np.int16)

WITHOUT_DEPTH_MM = 1.0
"""Spacing along the slice axis of a calibrated image without position, which has no such axis."""


@dataclass(frozen=True)
class _Seen:
    """What is gathered while the instances are read, beside their values."""

    around: padding.Surroundings = field(default_factory=padding.Surroundings)
    suv_bw_factors: set[float | None] = field(default_factory=set)
    """Of each image of a PET."""


def read_volume(stack: Stack, paths: Mapping[InstanceUID, Path], study_uid: StudyUID) -> tuple[Volume, SourceGrid]:
    """Decode every frame of a stack and place it in the patient.

    Values are what the modality declares (HU for CT): each frame's own rescale or modality LUT is applied; int16
    where all are whole numbers in its range, else float32. Padding round the image is nowhere brighter than the image's
    lowest value. MONOCHROME1 is inverted where the image has no position in a patient (a radiograph), never where
    values are a quantity.

    Raises Refused where slices cannot be placed by one affine, a file does not hold what its stack announces, or
    pixels cannot be decoded; NotFound where an instance has no path.
    """
    refusal = placement_refusal(stack)
    if refusal is not None:
        raise refusal
    array, seen = _empty(stack), _Seen()
    for uid, places in _places(stack).items():
        if uid not in paths:
            raise NotFound(f"the file of instance {uid} is not among the stack's files")
        array = _read_instance(array, seen, stack, uid, paths[uid], places)
    seen.around.darken(array)
    affine = _affine(stack)
    facts = _facts(stack, read_facts(paths[stack.frames[0].sop_instance_uid]))
    facts = replace(facts, suv_bw_factor=_agreed(seen.suv_bw_factors))
    grid = _grid(stack, study_uid, affine)
    volume = Volume(array, affine, _spacing_mm(stack, affine), facts, grid.frame_of_reference_uid)
    return volume, grid


def _empty(stack: Stack) -> npt.NDArray[Any]:
    if stack.rows is None or stack.columns is None:
        raise Refused(ReasonCode.NOT_AN_IMAGE, "the objects have no rows and columns of pixels")
    if stack.slice_count * stack.rows * stack.columns > VOLUME_PIXELS:
        raise Refused(
            ReasonCode.OUT_OF_MEMORY,
            f"{stack.slice_count} slices of {stack.rows} x {stack.columns} pixels are more than a worker reads",
        )
    return np.empty((stack.slice_count, stack.rows, stack.columns), dtype=np.int16)


def _places(stack: Stack) -> dict[InstanceUID, dict[int, int]]:
    """For each instance: the slice index of each of its frames, by frame number, ascending."""
    places: dict[InstanceUID, dict[int, int]] = {}
    for k, frame in enumerate(stack.frames):
        places.setdefault(frame.sop_instance_uid, {})[frame.frame_number] = k
    return {uid: dict(sorted(frames.items())) for uid, frames in places.items()}


def _read_instance(
    array: npt.NDArray[Any],
    seen: _Seen,
    stack: Stack,
    uid: InstanceUID,
    path: Path,
    places: dict[int, int],
) -> npt.NDArray[Any]:
    """The array with this instance's frames in it; another array where their values need floating point."""
    try:
        with opened(path, TAGS, inflated_bytes=INFLATED_HEADER_BYTES + 8 * array.size) as file:
            layout = pixels.layout_of(file)
            held = (file.header.uid("SOPInstanceUID"), layout.rows, layout.columns)
            if held != (uid, stack.rows, stack.columns):
                raise pixels.undecodable(
                    f"the file is not the instance of {stack.rows} x {stack.columns} pixels announced"
                )
            if stack.modality == "PT":
                seen.suv_bw_factors.add(uptake.suv_bw_factor(file.header))
            rules, padded = rescale.Rules(file.header), padding.Padding.of(file.header, layout)
            is_above = padded is not None and not padded.is_stored(layout) and pixels.is_exact(file)
            words = replace(layout, bits_stored=layout.bits_allocated) if is_above else layout
            decoded = pixels.stored_frames(file, words, list(places))
            for (number, k), found in zip(places.items(), decoded, strict=True):
                rule = rules.of(number)
                _check_quantity(stack, rule)
                values = rule.looked_up(pixels.of_stored_bits(found, layout) if is_above else found)
                upright = _inverted(values, layout, rule) if _is_negative(stack, layout) else values
                array = _with_slice(array, k, rule, upright)
                if padded is not None:
                    seen.around.see(k, array[k], padded.among(found))
    except Unreadable as error:
        raise pixels.undecodable(str(error)) from error
    return array


def _check_quantity(stack: Stack, rule: rescale.Rescale) -> None:
    """What a scanner measures is CT and PET by its rescale alone (of type 1 there): a screen shot in such a series has
    none, and a spectral scanner's maps are in other units, which a model would take for Hounsfield units."""
    if stack.modality in QUANTITIES and not rule.is_stated:
        raise Refused(
            ReasonCode.NOT_AN_IMAGE,
            f"the {stack.modality} states no Rescale Slope and Intercept: "
            f"which {QUANTITIES[stack.modality]} its values stand for is not known",
        )
    if stack.modality == "CT" and rule.unit not in HOUNSFIELD:
        raise Refused(ReasonCode.MODALITY, f"the values of the CT are {rule.unit} (Rescale Type), not Hounsfield units")


def _is_negative(stack: Stack, layout: pixels.PixelLayout) -> bool:
    """Whether low values are drawn bright in a picture that has no quantity, only a drawing (a radiograph)."""
    is_picture = stack.orientation is None and stack.modality not in ONE_VOLUME_MODALITIES
    return is_picture and layout.photometric == "MONOCHROME1"


def _inverted(values: npt.NDArray[Any], layout: pixels.PixelLayout, rule: rescale.Rescale) -> npt.NDArray[Any]:
    """Mirrored within the range of the stored bits, or of the lookup table: high is bright as in MONOCHROME2. What a
    compression that is not exact has put above that range is its end: mirrored, it would be as far beyond the other."""
    if rule.table is None and layout.is_signed:
        return ~values
    highest = (1 << layout.bits_stored) - 1 if rule.table is None else rule.table.highest
    mirrored: npt.NDArray[Any] = np.subtract(highest, np.minimum(values, highest), dtype=values.dtype)
    return mirrored


def _with_slice(array: npt.NDArray[Any], k: int, rule: rescale.Rescale, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The array with slice k set; it becomes float32 at the first slice whose values int16 cannot hold."""
    if array.dtype == np.int16 and rule.is_whole and values.dtype.kind in "iu":
        slope, intercept = int(rule.slope), int(rule.intercept)
        ends = (int(values.min()) * slope + intercept, int(values.max()) * slope + intercept)
        if INT16.min <= min(ends) and max(ends) <= INT16.max:
            scaled = values if slope == 1 else values.astype(np.int64) * slope
            np.add(scaled, np.int64(intercept), out=array[k], casting="unsafe")  # the ends fit, so all do
            return array
    if array.dtype == np.int16:
        array = array.astype(np.float32)
    array[k] = values * np.float64(rule.slope) + rule.intercept
    return array


def _affine(stack: Stack) -> Affine | None:
    """(slice, row, column) to LPS mm; None where the images have no position, or one slice has no thickness."""
    first, last = stack.frames[0].facts, stack.frames[-1].facts
    if first.position_lps_mm is None or first.orientation is None or stack.pixel_spacing_mm is None:
        return None
    start = np.array(first.position_lps_mm)
    if stack.slice_count > 1 and last.position_lps_mm is not None:
        step = (np.array(last.position_lps_mm) - start) / (stack.slice_count - 1)
    elif stack.slice_thickness_mm is not None:
        step = np.array(geometry.normal(first.orientation)) * stack.slice_thickness_mm
    else:
        return None
    row_mm, column_mm = stack.pixel_spacing_mm
    affine = np.eye(4)
    affine[:3, 0] = step
    affine[:3, 1] = np.array(geometry.unit(geometry.column_direction(first.orientation))) * row_mm
    affine[:3, 2] = np.array(geometry.unit(geometry.row_direction(first.orientation))) * column_mm
    affine[:3, 3] = start
    return affine


def _spacing_mm(stack: Stack, affine: Affine | None) -> tuple[float, float, float] | None:
    if stack.pixel_spacing_mm is None or stack.calibrated_at is None:
        return None
    along = WITHOUT_DEPTH_MM if affine is None else float(np.linalg.norm(affine[:3, 0]))
    return (along, *stack.pixel_spacing_mm)


def _facts(stack: Stack, first: InstanceFacts) -> Facts:
    return Facts(
        modality=stack.modality,
        body_part=stack.body_part,
        laterality=stack.laterality,
        view=stack.view,
        patient_age_y=first.patient_age_y,
        patient_sex=first.patient_sex,
        contrast=stack.contrast,
        kernel=stack.kernel,
        slice_thickness_mm=stack.slice_thickness_mm,
        calibrated_at=stack.calibrated_at,
    )


def _agreed(factors: set[float | None]) -> float | None:
    """The one on which all images agree: the scan began before the first of them, wherever in the stack that lies."""
    return next(iter(factors)) if len(factors) == 1 else None


def _grid(stack: Stack, study_uid: StudyUID, affine: Affine | None) -> SourceGrid:
    frame_of_reference, note = _frame_of_reference(stack) if affine is not None else (None, None)
    return SourceGrid(
        study_uid=study_uid,
        series_uid=stack.series_uid,
        frames=tuple((frame.sop_instance_uid, frame.frame_number) for frame in stack.frames),
        rows=stack.rows or 0,
        columns=stack.columns or 0,
        affine_lps=None if affine is None else tuple(tuple(float(x) for x in row) for row in affine),
        frame_of_reference_uid=frame_of_reference,
        frame_of_reference_note=note,
    )


def _frame_of_reference(stack: Stack) -> tuple[str, str | None]:
    """The frame of reference that results carry, and what was done where the slices do not share one (design 1)."""
    stated = [frame.frame_of_reference_uid for frame in stack.frames if frame.frame_of_reference_uid is not None]
    if not stated:
        return derived_uid("frame-of-reference", stack.series_uid), (
            "The images state no frame of reference; one was derived from the series, "
            "and nothing outside this series can be aligned by it."
        )
    if len(set(stated)) == 1 and len(stated) == stack.slice_count:
        return stated[0], None
    fault = (
        f"The {stack.slice_count} slices carry {len(set(stated))} different frames of reference"
        if len(set(stated)) > 1
        else f"{stack.slice_count - len(stated)} of {stack.slice_count} slices carry no frame of reference"
    )
    return stated[0], (
        f"{fault} although their positions form one volume; the results use that of the lowest slice that has one, "
        "and nothing outside this series can be aligned by it."
    )
