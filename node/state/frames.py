"""Where each frame of an image lies and what tells it apart, from plain attributes or functional groups."""

from dataclasses import fields, replace

from node.core.geometry import Cosines, is_plane
from node.core.study import FrameFacts, Vector
from node.errors import Unreadable
from node.state.attributes import Attributes

FRAMES = 20_000
"""Frames of one instance that are read at most; the largest diffusion series have about ten thousand."""

FARTHEST_MM = 1e5
"""A position farther from the origin than 100 m is no position in a patient."""

POSITION_POINTERS = {
    (0x0020, 0x9056),  # Stack ID, kept on its own
    (0x0020, 0x9057),  # In-Stack Position Number
    (0x0020, 0x0032),  # Image Position (Patient)
    (0x0020, 0x9301),  # Image Position (Volume)
    (0x0020, 0x1041),  # Slice Location
}
"""Dimensions that only say where a frame lies within its stack (PS3.3 C.7.6.17, C.7.6.16.2.2)."""

FRAME_TYPE_GROUPS = (
    "MRImageFrameTypeSequence",
    "CTImageFrameTypeSequence",
    "PETFrameTypeSequence",
    "MRSpectroscopyFrameTypeSequence",
    "XRay3DFrameTypeSequence",
    "XAXRFFrameCharacteristicsSequence",
)


def read_frames(header: Attributes) -> tuple[FrameFacts, ...]:
    """Facts of every frame, in order of frame number. Raises Unreadable where the header contradicts itself.

    A frame of a multi-frame image has no geometry but that of functional groups: attributes hold for no single frame.
    """
    count = header.integer("NumberOfFrames") if header.has_value("NumberOfFrames") else 1
    if count is None or not 1 <= count <= FRAMES:
        raise Unreadable(f"NumberOfFrames is {count}; between 1 and {FRAMES} can be read", 0x00280008)
    plain = _plain(header)
    groups = header.items("PerFrameFunctionalGroupsSequence")
    shared_groups = header.item("SharedFunctionalGroupsSequence")
    if not groups and not shared_groups:
        return (_measured(plain, header),) if count == 1 else (_measured(_without_geometry(plain), header),) * count
    if len(groups) != count:
        raise Unreadable(f"NumberOfFrames is {count}, but functional groups describe {len(groups)} frames", 0x52009230)
    kept, bare = _kept_dimensions(header), replace(_without_geometry(plain), pixel_spacing_mm=None)
    shared = bare if shared_groups is None else _overlaid(bare, _grouped(shared_groups, kept))
    return tuple(_measured(_overlaid(shared, _grouped(group, kept)), header) for group in groups)


def _plain(header: Attributes) -> FrameFacts:
    return FrameFacts(
        position_lps_mm=_position(header),
        orientation=_orientation(header),
        pixel_spacing_mm=_spacing(header, "PixelSpacing"),
        slice_thickness_mm=_thickness(header),
        image_type=header.texts("ImageType"),
        acquisition=header.integer("AcquisitionNumber"),
        echo_time_ms=header.number("EchoTime"),
        b_value=header.number("DiffusionBValue"),
        temporal_position=header.integer("TemporalPositionIdentifier"),
    )


def _measured(facts: FrameFacts, header: Attributes) -> FrameFacts:
    """With the image's own spacing, else that at the detector, where a frame has none and no place in a patient."""
    is_placed = facts.position_lps_mm is not None and facts.orientation is not None
    if facts.pixel_spacing_mm is not None or is_placed:
        return facts
    return replace(facts, pixel_spacing_mm=_spacing(header, "PixelSpacing") or _spacing(header, "ImagerPixelSpacing"))


def _without_geometry(facts: FrameFacts) -> FrameFacts:
    return replace(facts, position_lps_mm=None, orientation=None)


def _grouped(groups: Attributes, kept: tuple[int, ...] | None) -> FrameFacts:
    """What one item of functional groups says; None (or empty) where it says nothing."""
    content = groups.item("FrameContentSequence")
    position = groups.item("PlanePositionSequence")
    orientation = groups.item("PlaneOrientationSequence")
    measures = groups.item("PixelMeasuresSequence")
    echo = groups.item("MREchoSequence")
    diffusion = groups.item("MRDiffusionSequence")
    frame_types = [item for keyword in FRAME_TYPE_GROUPS for item in groups.items(keyword)[:1]]
    return FrameFacts(
        position_lps_mm=_position(position) if position else None,
        orientation=_orientation(orientation) if orientation else None,
        pixel_spacing_mm=_spacing(measures, "PixelSpacing") if measures else None,
        slice_thickness_mm=_thickness(measures) if measures else None,
        image_type=frame_types[0].texts("FrameType") if frame_types else (),
        acquisition=content.integer("FrameAcquisitionNumber") if content else None,
        echo_time_ms=echo.number("EffectiveEchoTime") if echo else None,
        b_value=diffusion.number("DiffusionBValue") if diffusion else None,
        temporal_position=content.integer("TemporalPositionIndex") if content else None,
        stack=(content.text("StackID") or "") if content else "",
        dimension=_dimension(content, kept) if content else (),
    )


def _overlaid(below: FrameFacts, above: FrameFacts) -> FrameFacts:
    """The facts below, with everything that the facts above state in its place."""
    stated = {one.name: getattr(above, one.name) for one in fields(FrameFacts)}
    return replace(below, **{name: value for name, value in stated.items() if value not in (None, (), "")})


def _kept_dimensions(header: Attributes) -> tuple[int, ...] | None:
    """Which of a frame's dimension indices tell stacks apart; None where nothing says what they index."""
    pointers = [item.tag_value("DimensionIndexPointer") for item in header.items("DimensionIndexSequence")]
    if not pointers:
        return None
    return tuple(number for number, pointer in enumerate(pointers) if pointer not in POSITION_POINTERS)


def _dimension(content: Attributes, kept: tuple[int, ...] | None) -> tuple[int, ...]:
    values = content.numbers("DimensionIndexValues")
    if kept is None or any(number >= len(values) for number in kept):
        return ()
    return tuple(int(values[number]) for number in kept)


def _position(attributes: Attributes) -> Vector | None:
    found = attributes.numbers("ImagePositionPatient")
    if len(found) != 3 or any(abs(one) > FARTHEST_MM for one in found):
        return None
    return (found[0], found[1], found[2])


def _orientation(attributes: Attributes) -> Cosines | None:
    found = attributes.numbers("ImageOrientationPatient")
    if len(found) != 6:
        return None
    cosines = (found[0], found[1], found[2], found[3], found[4], found[5])
    return cosines if is_plane(cosines) else None


def _spacing(attributes: Attributes, keyword: str) -> tuple[float, float] | None:
    found = attributes.numbers(keyword)
    if len(found) != 2 or not all(0 < one < FARTHEST_MM for one in found):
        return None
    return (found[0], found[1])


def _thickness(attributes: Attributes) -> float | None:
    found = attributes.number("SliceThickness")
    return found if found is not None and 0 < found < FARTHEST_MM else None
