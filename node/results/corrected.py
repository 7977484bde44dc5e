"""A source's header as results take it over where its patient or order was corrected meanwhile."""

from pydicom.dataset import Dataset
from pydicom.tag import Tag

from node.core.identity import Registered
from node.results.carried import SHARED

OF_ACQUISITION = frozenset(
    {
        "StudyDate", "StudyTime", "StudyID", "StudyDescription", "ProcedureCodeSequence", "SpecificCharacterSet",
        "TimezoneOffsetFromUTC",
    }
)  # fmt: skip
"""Shared attributes that say what was done, whoever the patient is. The others describe the patient or the order that
the images named: of these only what was registered in their place is stated."""
OF_ORDER = (
    "RequestAttributesSequence", "ReferencedRequestSequence", "RequestedProcedureID", "OriginalAttributesSequence",
    "PlacerOrderNumberImagingServiceRequest", "FillerOrderNumberImagingServiceRequest",
)  # fmt: skip
GROUPS = frozenset({0x0010, 0x0032, 0x0038})
"""Of the patient, of what was asked for, of the visit."""


def correct(header: Dataset, registered: Registered) -> None:
    """Put what is registered in place of all that the header says of patient and order."""
    of_either = {Tag(one) for module in SHARED.values() for one in module if one not in OF_ACQUISITION}
    of_either.update(map(Tag, OF_ORDER))
    for tag in list(header.keys()):
        if tag in of_either or tag.group in GROUPS:
            del header[tag]
    values = {
        "PatientName": registered.patient_name,
        "PatientID": registered.patient.patient_id,
        "IssuerOfPatientID": registered.patient.issuer,
        "PatientBirthDate": registered.birth_date,
        "PatientSex": registered.sex,
        "AccessionNumber": registered.accession,
    }
    for keyword, value in values.items():
        if value:
            setattr(header, keyword, value)


def is_ascii(registered: Registered | None) -> bool:
    """Whether every character set can say it."""
    if registered is None:
        return True
    patient = registered.patient
    return f"{patient.patient_id}{patient.issuer}{registered.accession}{registered.patient_name}".isascii()
