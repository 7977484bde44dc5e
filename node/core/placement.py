"""Decides whether one affine can place every slice of a stack."""

from collections.abc import Callable, Sequence
from itertools import pairwise

from node.core import geometry
from node.core.stacks import ORIENTATION_TOLERANCE, SAME_PLACE_MM
from node.core.study import FrameFacts, Stack, Vector
from node.errors import ReasonCode, Refused

TILT_DEG = 0.5
"""Slices shifted sideways by more than this against their normal are sheared; scanners state tilt in half degrees."""

DRIFT_MM = 0.1
"""Sideways shift from first to last slice that is rounding of positions, not tilt (some are written to 0.1 mm)."""

GAP_FRACTION = 0.05
GAP_MM = 0.15
"""A gap may differ from the regular one by a twentieth, or by this where that is more: positions rounded
to 0.1 mm move a gap by up to 0.1 mm. Never by half of it: where slices lie closer than this, one could be missing."""

OFF_LINE_FRACTION = 0.1
"""How far a slice may lie from where an even row puts it, in slice spacings (or by rounding): many small
differences may add up, and one affine must hold for all slices."""


LEAST_PHASES = 3
"""So many images at every place are taken over time; two are rather the same slices reconstructed twice."""


def placement_refusal(stack: Stack) -> Refused | None:
    """The first reason, in the order of CHECKS, why one affine cannot place every slice; None for a single image."""
    return next((refusal for each in CHECKS if (refusal := each(stack)) is not None), None)


def share_a_place(one: Stack, other: Stack) -> bool:
    """Whether two stacks of one orientation share a place along their normal."""
    if one.orientation is None or one.orientation is not other.orientation:
        return False
    normal = _normal(other)
    places = sorted(
        (geometry.dot(position, normal), stack.number) for stack in (one, other) for position in _positions(stack)
    )
    return any(b[0] - a[0] < SAME_PLACE_MM and a[1] != b[1] for a, b in pairwise(places))


def _over_time(stack: Stack) -> Refused | None:
    """Images that show one place again and again, or say nothing of a place because they are frames of one clip."""
    count, positions = stack.slice_count, _positions(stack)
    if count > 1 and not positions and len({frame.sop_instance_uid for frame in stack.frames}) == 1:
        return Refused(
            ReasonCode.NOT_A_VOLUME,
            f"one object of {count} frames that have no place in the patient: a clip over time, or several views",
        )
    if len(positions) < count or stack.orientation is None:
        return None
    gaps = _gaps_mm(stack)
    places = sum(gap >= SAME_PLACE_MM for gap in gaps) + 1
    each = count // places
    ends = [number for number, gap in enumerate(gaps, 1) if gap >= SAME_PLACE_MM]
    if each < LEAST_PHASES or ends != [each * number for number in range(1, places)] or each * places != count:
        return None
    where = "one place" if places == 1 else f"each of {places} places"
    return Refused(ReasonCode.NOT_A_VOLUME, f"{each} images lie at {where}: phases over time (a cine), or repetitions")


def _unplaced(stack: Stack) -> Refused | None:
    if stack.slice_count == 1:
        return None
    wanted: tuple[tuple[str, Callable[[FrameFacts], object]], ...] = (
        ("ImagePositionPatient", lambda facts: facts.position_lps_mm),
        ("ImageOrientationPatient", lambda facts: facts.orientation),
        ("PixelSpacing", lambda facts: facts.pixel_spacing_mm),
    )
    for keyword, value in wanted:
        absent = sum(value(frame.facts) is None for frame in stack.frames)
        if absent:
            return Refused(
                ReasonCode.IRREGULAR_SPACING,
                f"{absent} of {stack.slice_count} images have no usable {keyword}, so where they lie is not known",
            )
    return None


def _drifting_orientation(stack: Stack) -> Refused | None:
    if stack.slice_count == 1:
        return None
    first, *others = [frame.facts.orientation for frame in stack.frames if frame.facts.orientation is not None]
    worst = max((abs(a - b) for other in others for a, b in zip(first, other, strict=True)), default=0.0)
    if worst <= 2 * ORIENTATION_TOLERANCE:
        return None
    return Refused(
        ReasonCode.MIXED_ORIENTATION,
        f"the slices turn against each other: their direction cosines differ by up to {worst:.3f}",
    )


def _stated_tilt(stack: Stack) -> Refused | None:
    tilt = stack.gantry_tilt_deg
    if stack.slice_count == 1 or tilt is None or abs(tilt) <= TILT_DEG:
        return None
    return Refused(ReasonCode.GANTRY_TILT, f"the gantry was tilted by {tilt:.1f} degrees (Gantry/Detector Tilt)")


def _frame_of_reference(stack: Stack) -> Refused | None:
    """Another frame of reference on every slice is a way of writing (LIDC-IDRI), and geometry alone decides.

    Several shared by groups of slices mean that positions of different groups must not be compared (PS3.3 C.7.4.1).
    """
    stated = [frame.frame_of_reference_uid for frame in stack.frames if frame.frame_of_reference_uid is not None]
    different = len(set(stated))
    if different <= 1 or different == len(stated):
        return None
    return Refused(
        ReasonCode.FRAME_OF_REFERENCE,
        f"{different} frames of reference are shared out among {len(stated)} slices, "
        "so their positions cannot be compared",
    )


def _duplicate_slices(stack: Stack) -> Refused | None:
    for number, gap in enumerate(_gaps_mm(stack), 1):
        if gap < SAME_PLACE_MM:
            return Refused(
                ReasonCode.DUPLICATE_SLICES,
                f"slices {number} and {number + 1} of {stack.slice_count} lie at one place ({gap:.2f} mm apart)",
            )
    return None


def _uneven_slices(stack: Stack) -> Refused | None:
    """Missing slices where every gap is a whole multiple of the regular one, irregular spacing otherwise."""
    gaps, regular = _gaps_mm(stack), stack.spacing_mm
    if regular is None:
        return None
    allowed = max(GAP_FRACTION * regular, _rounding_mm(regular))
    uneven = [(number, gap) for number, gap in enumerate(gaps, 1) if abs(gap - regular) > allowed]
    if not uneven:
        return _off_line(stack, regular)
    number, gap = max(uneven, key=lambda one: abs(one[1] - regular))
    missing = [round(one / regular) - 1 for _, one in uneven]
    whole = all(n >= 1 and abs(one - (n + 1) * regular) <= allowed for n, (_, one) in zip(missing, uneven, strict=True))
    where = f"gap of {gap:.1f} mm between slices {number} and {number + 1} where {regular:.1f} mm is regular"
    if whole:
        return Refused(ReasonCode.MISSING_SLICES, f"{where}: {sum(missing)} missing from the stack")
    return Refused(ReasonCode.IRREGULAR_SPACING, f"{where}; {len(uneven)} of {len(gaps)} gaps are irregular")


def _off_line(stack: Stack, regular_mm: float) -> Refused | None:
    """A slice away from where an even row from the first to the last puts it, in any direction."""
    positions = _positions(stack)
    first, step = positions[0], _step(positions)
    distances = [
        geometry.length(geometry.difference(position, _moved(first, step, k))) for k, position in enumerate(positions)
    ]
    worst = max(distances)
    if worst <= max(OFF_LINE_FRACTION * regular_mm, _rounding_mm(regular_mm)):
        return None
    return Refused(
        ReasonCode.IRREGULAR_SPACING,
        f"slice {distances.index(worst) + 1} of {len(positions)} lies {worst:.1f} mm from where an even row puts it",
    )


def _rounding_mm(regular_mm: float) -> float:
    return min(GAP_MM, regular_mm / 2)


def _sheared(stack: Stack) -> Refused | None:
    """Tilt seen in the positions: the line through the slices leaves their normal."""
    positions = _positions(stack)
    if len(positions) < 2 or stack.spacing_mm is None:
        return None
    across = geometry.difference(positions[-1], positions[0])
    normal = _normal(stack)
    along = geometry.dot(across, normal)
    drift = geometry.length(geometry.difference(across, _moved((0.0, 0.0, 0.0), normal, along)))
    angle = geometry.angle_deg(across, normal)
    if angle <= TILT_DEG or drift <= DRIFT_MM:
        return None
    return Refused(
        ReasonCode.GANTRY_TILT,
        f"the slices are shifted sideways like those of a tilted gantry: by {drift:.1f} mm over the stack, "
        f"{angle:.1f} degrees off the normal",
    )


def _positions(stack: Stack) -> list[Vector]:
    return [frame.facts.position_lps_mm for frame in stack.frames if frame.facts.position_lps_mm is not None]


def _normal(stack: Stack) -> Vector:
    return geometry.normal(
        min(frame.facts.orientation for frame in stack.frames if frame.facts.orientation is not None)
    )


def _gaps_mm(stack: Stack) -> list[float]:
    """Distances of neighbouring slices along the normal; none where slices have no place."""
    if stack.orientation is None:
        return []
    normal = _normal(stack)
    return geometry.gaps_mm([geometry.dot(position, normal) for position in _positions(stack)])


def _step(positions: Sequence[Vector]) -> Vector:
    across, count = geometry.difference(positions[-1], positions[0]), len(positions) - 1
    return (across[0] / count, across[1] / count, across[2] / count)


def _moved(start: Vector, step: Vector, times: float) -> Vector:
    return (start[0] + times * step[0], start[1] + times * step[1], start[2] + times * step[2])


CHECKS: tuple[Callable[[Stack], Refused | None], ...] = (
    _over_time,
    _unplaced,
    _drifting_orientation,
    _stated_tilt,
    _frame_of_reference,
    _duplicate_slices,
    _uneven_slices,
    _sheared,
)
"""Whether one affine places all slices, the fault a person can mend best first.

A stated tilt comes before the gaps (a tilted head scan changes its increment on purpose), one that only the positions
show comes after: where slices are missing as well, they are what to send again.
"""
