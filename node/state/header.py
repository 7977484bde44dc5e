"""Reads the header of one file into facts; never its pixels."""

import math
import re
from datetime import date
from pathlib import Path

from pydicom import uid
from pydicom.datadict import tag_for_keyword

from node.core.identity import ClassUID, InstanceUID, Patient, SeriesUID, StudyUID
from node.core.study import InstanceFacts, InstanceKind
from node.errors import Unreadable
from node.state.attributes import Attributes
from node.state.frames import read_frames
from node.state.part10 import PARSE_ERRORS, Part10, opened, tags_of

MODEL_NAME = "Isocenter"
"""ManufacturerModelName in Contributing Equipment by which our own results are known (design section 4)."""

TAGS = tags_of(
    "SpecificCharacterSet ImageType SOPClassUID SOPInstanceUID StudyDate AccessionNumber Modality StudyDescription "
    "SeriesDescription PatientID IssuerOfPatientID PatientBirthDate PatientSex PatientAge ContrastBolusAgent "
    "ContrastBolusAgentSequence BodyPartExamined SliceThickness EchoTime GantryDetectorTilt ImagerPixelSpacing "
    "ConvolutionKernel ViewPosition DiffusionBValue ContributingEquipmentSequence StudyInstanceUID SeriesInstanceUID "
    "SeriesNumber AcquisitionNumber InstanceNumber ImagePositionPatient ImageOrientationPatient FrameOfReferenceUID "
    "Laterality ImageLaterality TemporalPositionIdentifier DimensionIndexSequence SamplesPerPixel "
    "PhotometricInterpretation NumberOfFrames Rows Columns PixelSpacing PixelSpacingCalibrationType "
    "ConcatenationUID InConcatenationNumber InConcatenationTotalNumber "
    "RequestedProcedurePriority SharedFunctionalGroupsSequence PerFrameFunctionalGroupsSequence"
)
"""All that is read: the parser skips every other element of the top level."""

NOT_ACQUIRED = {
    uid.SegmentationStorage,
    "1.2.840.10008.5.1.4.1.1.66.7",  # Label Map Segmentation
    "1.2.840.10008.5.1.4.1.1.66.8",  # Height Map Segmentation
    uid.ParametricMapStorage,
    uid.RTImageStorage,
    uid.EnhancedRTImageStorage,
    uid.EnhancedContinuousRTImageStorage,
    uid.RTDoseStorage,
}
"""Classes that carry a pixel matrix but no acquired or reconstructed image: derived from one, or a plan's."""

FLAT_AGE = re.compile(r"([0-9]{1,3})([DWMY])")
DAYS_PER_UNIT = {"D": 1.0, "W": 7.0, "M": 365.25 / 12, "Y": 365.25}
DAYS_PER_YEAR = 365.25
ROUNDING = 0.005
"""Of a spacing: less than any magnification, which is some hundredths at least."""

MOST_PARTS = 0xFFFF
"""Of a concatenation: numbers of 16 bits (US)."""

NO_CONTRAST = {"NONE", "NO", "N", "NATIVE", "WITHOUT"}


def read_facts(path: Path) -> InstanceFacts:
    """The facts of one Part 10 file.

    A malformed attribute is None. Raises Unreadable where the file has no usable header: not DICOM, truncated,
    without its UIDs, or made to be expensive; OSError where the file cannot be opened.
    """
    with opened(path, TAGS) as file:
        return facts_of(file)


def facts_of(file: Part10) -> InstanceFacts:
    """The same of a file that was opened for TAGS."""
    try:
        return _facts(file)
    except PARSE_ERRORS as error:
        raise Unreadable(f"the header cannot be parsed: {type(error).__name__} inside a sequence") from error


def _facts(file: Part10) -> InstanceFacts:
    header = file.header
    for keyword in ("PatientID", "IssuerOfPatientID"):
        if header.is_oversize(keyword):  # taken as absent it would join the studies of all who have none
            raise Unreadable(f"{keyword} is too long to be one", tag_for_keyword(keyword))
    rows, columns = _extent(header, "Rows"), _extent(header, "Columns")
    kind = _kind(header, rows, columns)
    is_image = kind is InstanceKind.IMAGE
    frames = read_frames(header) if is_image else ()
    return InstanceFacts(
        sop_instance_uid=InstanceUID(_required_uid(header, "SOPInstanceUID")),
        sop_class_uid=ClassUID(_required_uid(header, "SOPClassUID")),
        transfer_syntax_uid=str(file.transfer_syntax_uid),
        study_uid=StudyUID(_required_uid(header, "StudyInstanceUID")),
        series_uid=SeriesUID(_required_uid(header, "SeriesInstanceUID")),
        kind=kind,
        patient=Patient.of(header.text("PatientID"), header.text("IssuerOfPatientID")),
        modality=header.code("Modality"),
        accession_number=header.text("AccessionNumber"),
        study_date=_date_text(header.text("StudyDate")),
        study_description=header.text("StudyDescription"),
        series_description=header.text("SeriesDescription"),
        series_number=header.integer("SeriesNumber"),
        instance_number=header.integer("InstanceNumber"),
        body_part=header.code("BodyPartExamined"),
        patient_age_y=_age_y(header),
        patient_sex=header.code("PatientSex"),
        frame_of_reference_uid=header.uid("FrameOfReferenceUID"),
        kernel=(header.text("ConvolutionKernel") or "").split("\\")[0] or None,
        contrast=_contrast(header),
        gantry_tilt_deg=header.number("GantryDetectorTilt"),
        laterality=header.code("ImageLaterality") or header.code("Laterality") or _side_of_frames(header),
        view=header.code("ViewPosition"),
        calibrated_at=_calibrated_at(
            header, has_geometry=any(one.orientation and one.position_lps_mm for one in frames)
        ),
        rows=rows,
        columns=columns,
        samples_per_pixel=header.integer("SamplesPerPixel"),
        photometric=header.code("PhotometricInterpretation"),
        has_pixels=file.pixels is not None and file.pixels.length > 0,
        requested_priority=header.code("RequestedProcedurePriority"),
        frames=frames,
        concatenation=_concatenation(header) if is_image else None,
    )


def _concatenation(header: Attributes) -> tuple[str, int, int | None] | None:
    name, number = header.uid("ConcatenationUID"), header.integer("InConcatenationNumber")
    if name is None or number is None or not 1 <= number <= MOST_PARTS:
        return None
    count = header.integer("InConcatenationTotalNumber")
    return (name, number, count if count is not None and 1 <= count <= MOST_PARTS else None)


def _required_uid(header: Attributes, keyword: str) -> str:
    found = header.uid(keyword)
    if found is None:
        raise Unreadable(f"{keyword} is missing or malformed", tag_for_keyword(keyword))
    return found


def _extent(header: Attributes, keyword: str) -> int | None:
    found = header.integer(keyword)
    return found if found is not None and 0 < found <= 0xFFFF else None


def _kind(header: Attributes, rows: int | None, columns: int | None) -> InstanceKind:
    """An image has a pixel matrix, even where its pixels are missing: then the gate says so, and nothing is dropped."""
    equipment = header.items("ContributingEquipmentSequence")
    if any(one.text("ManufacturerModelName") == MODEL_NAME for one in equipment):
        return InstanceKind.OWN
    if rows is None or columns is None or header.uid("SOPClassUID") in NOT_ACQUIRED:
        return InstanceKind.OTHER
    return InstanceKind.IMAGE


def _date_text(text: str | None) -> str | None:
    """YYYYMMDD; ACR-NEMA's dots are taken out (PS3.5 table 6.2-1, note to DA)."""
    digits = (text or "").replace(".", "")
    return digits if re.fullmatch("[0-9]{8}", digits) else None


def _date(text: str | None) -> date | None:
    digits = _date_text(text)
    try:
        return date(int(digits[:4]), int(digits[4:6]), int(digits[6:])) if digits else None
    except ValueError:
        return None


def _age_y(header: Attributes) -> float | None:
    """From PatientAge, else from birth date and study date; None where neither can be read."""
    stated = FLAT_AGE.fullmatch(header.code("PatientAge") or "")
    if stated:
        return int(stated[1]) * DAYS_PER_UNIT[stated[2]] / DAYS_PER_YEAR
    born, studied = _date(header.text("PatientBirthDate")), _date(header.text("StudyDate"))
    if born is None or studied is None or studied < born:
        return None
    return (studied - born).days / DAYS_PER_YEAR


def _contrast(header: Attributes) -> bool | None:
    """True where an agent is named, False where its absence is stated; an empty or absent attribute says nothing."""
    if header.items("ContrastBolusAgentSequence"):
        return True
    agent = header.text("ContrastBolusAgent")
    return None if agent is None else agent.upper() not in NO_CONTRAST


def _side_of_frames(header: Attributes) -> str | None:
    """The one that all frames state in functional groups, where multi-frame images have it (PS3.3 C.7.6.16.2.8)."""
    groups = (*header.items("SharedFunctionalGroupsSequence"), *header.items("PerFrameFunctionalGroupsSequence"))
    stated = {one.code("FrameLaterality") for group in groups for one in group.items("FrameAnatomySequence")}
    return stated.pop() if len(stated) == 1 else None


def _calibrated_at(header: Attributes, *, has_geometry: bool) -> str | None:
    """Where in-plane spacing holds (PS3.3 10.7.1.3): in the patient, at the detector, or not known.

    A projection's Pixel Spacing that differs from the detector's by more than rounding has been corrected for
    magnification.
    """
    pixel, detector = header.numbers("PixelSpacing"), header.numbers("ImagerPixelSpacing")
    corrected = len(pixel) == len(detector) == 2 and not all(map(_is_rounded, pixel, detector))
    if has_geometry or corrected or header.code("PixelSpacingCalibrationType") in ("GEOMETRY", "FIDUCIAL"):
        return "patient"
    return "detector" if len(detector) == 2 else None


def _is_rounded(one: float, other: float) -> bool:
    """Whether two numbers are one, written with more and with fewer decimals."""
    return math.isclose(one, other, rel_tol=ROUNDING)
