"""What is known of a study from its headers: instances, frames, stacks."""

from dataclasses import dataclass
from enum import Enum

from node.core.identity import ClassUID, InstanceUID, Patient, SeriesUID, StudyUID

Vector = tuple[float, float, float]


class InstanceKind(str, Enum):
    """What an instance is to the node."""

    IMAGE = "image"
    """Carries pixels of an acquisition or reconstruction: it can be routed."""
    OTHER = "other"
    """Reports, segmentations, presentation states: kept, never routed, never extends a study."""
    OWN = "own"
    """A result of this node that came back: noted, never routed."""
    UNREADABLE = "unreadable"
    """Taken from the sender, but its header could not be read: kept and shown."""


@dataclass(frozen=True)
class FrameFacts:
    """Geometry and grouping attributes of one frame; a single-frame image has exactly one.

    position_lps_mm: ImagePositionPatient. orientation: ImageOrientationPatient. pixel_spacing_mm: (row, column).
    stack, dimension: StackID and the dimension index values that are not the position within the stack.
    """

    position_lps_mm: Vector | None
    orientation: tuple[float, float, float, float, float, float] | None
    pixel_spacing_mm: tuple[float, float] | None
    slice_thickness_mm: float | None
    image_type: tuple[str, ...] = ()
    acquisition: int | None = None
    echo_time_ms: float | None = None
    b_value: float | None = None
    temporal_position: int | None = None
    stack: str = ""
    dimension: tuple[int, ...] = ()


@dataclass(frozen=True)
class InstanceFacts:
    """What the header of one instance says, as far as routing, gating and showing need it."""

    sop_instance_uid: InstanceUID
    sop_class_uid: ClassUID
    transfer_syntax_uid: str
    study_uid: StudyUID
    series_uid: SeriesUID
    kind: InstanceKind
    patient: Patient
    modality: str | None = None
    accession_number: str | None = None
    study_date: str | None = None
    study_description: str | None = None
    series_description: str | None = None
    series_number: int | None = None
    instance_number: int | None = None
    body_part: str | None = None
    patient_age_y: float | None = None
    patient_sex: str | None = None
    frame_of_reference_uid: str | None = None
    kernel: str | None = None
    contrast: bool | None = None
    gantry_tilt_deg: float | None = None
    laterality: str | None = None
    view: str | None = None
    calibrated_at: str | None = None
    rows: int | None = None
    columns: int | None = None
    samples_per_pixel: int | None = None
    photometric: str | None = None
    has_pixels: bool = False
    requested_priority: str | None = None
    """RequestedProcedurePriority (0040,1003): STAT, HIGH, ROUTINE, MEDIUM, LOW."""
    frames: tuple[FrameFacts, ...] = ()
    concatenation: tuple[str, int, int | None] | None = None
    """Of a multi-frame image that was cut into several instances (PS3.3 C.7.6.16.2.2.4): its UID, which part this is,
    from 1, and how many there are, where that is said."""


class Orientation(str, Enum):
    """Plane of a stack's slices: the patient axis nearest to the slice normal, oblique beyond 20 degrees."""

    AXIAL = "axial"
    CORONAL = "coronal"
    SAGITTAL = "sagittal"
    OBLIQUE = "oblique"


@dataclass(frozen=True)
class StackFrame:
    """One frame of a stack: which instance, which frame of it (1-based, 1 where it is the only one), and where."""

    sop_instance_uid: InstanceUID
    frame_number: int
    instance_number: int | None
    frame_of_reference_uid: str | None
    facts: FrameFacts


@dataclass(frozen=True)
class Stack:
    """Slices of one series that belong together: one image or one volume. `number` counts within the series.

    frames: sorted along the slice normal, lowest first, so that a right-handed volume results; in order of
    instance number where there is no geometry.
    coverage_mm: extent along the slice normal, from outer edge to outer edge. spacing_mm: median distance of
    neighbouring slices along the normal; both None where there is no geometry.
    """

    series_uid: SeriesUID
    number: int
    frames: tuple[StackFrame, ...]
    modality: str | None
    description: str | None
    series_number: int | None
    body_part: str | None
    image_type: tuple[str, ...]
    orientation: Orientation | None
    rows: int | None
    columns: int | None
    pixel_spacing_mm: tuple[float, float] | None
    slice_thickness_mm: float | None
    spacing_mm: float | None
    coverage_mm: float | None
    kernel: str | None
    contrast: bool | None
    gantry_tilt_deg: float | None
    laterality: str | None
    view: str | None
    has_pixels: bool
    samples_per_pixel: int | None
    calibrated_at: str | None
    sop_class_uid: ClassUID
    missing_parts: tuple[int, ...] = ()
    """Numbers of the parts of a concatenation that its instances speak of and the series does not have."""

    @property
    def slice_count(self) -> int:
        return len(self.frames)

    @property
    def instances(self) -> tuple[tuple[SeriesUID, InstanceUID, ClassUID], ...]:
        """Each instance once, with its series and class, in the order of the slices."""
        uids = dict.fromkeys(frame.sop_instance_uid for frame in self.frames)
        return tuple((self.series_uid, uid, self.sop_class_uid) for uid in uids)

    @property
    def name(self) -> str:
        """How people and the ledger call it: the series, and the stack's number within it."""
        return f"{self.series_uid}#{self.number}"


@dataclass(frozen=True)
class SourceGrid:
    """The frames a volume was read from, in the order of its slice axis, and the grid results are placed on.

    affine_lps: rows of the 4 x 4 matrix from (slice, row, column, 1) to LPS mm; None for images without geometry.
    frame_of_reference_uid: the one that results carry. frame_of_reference_note: what was done where the sources
    differ or have none (design section 1), for the report; None where nothing was done. left_out_note: how many
    images of the series are not in the grid, for the report; None where all are. further_note: which other images the
    model was given, for the report; None where there were none.
    """

    study_uid: StudyUID
    series_uid: SeriesUID
    frames: tuple[tuple[InstanceUID, int], ...]
    rows: int
    columns: int
    affine_lps: tuple[tuple[float, ...], ...] | None
    frame_of_reference_uid: str | None
    frame_of_reference_note: str | None = None
    left_out_note: str | None = None
    further_note: str | None = None
    further: tuple[tuple[SeriesUID, InstanceUID, ClassUID], ...] = ()
    """The instances of those other images."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader of the results must know of these images."""
        return tuple(note for note in (self.further_note, self.left_out_note, self.frame_of_reference_note) if note)
