"""The attributes that every object of a study shares, taken over from the source in the source's own bytes."""

from pydicom.charset import convert_encodings
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.filewriter import correct_ambiguous_vr
from pydicom.tag import BaseTag, Tag

Element = DataElement | RawDataElement

SHARED: dict[str, tuple[str, ...]] = {
    "Patient, PS3.3 C.7.1.1": (
        *("PatientName", "PatientID", "IssuerOfPatientID", "IssuerOfPatientIDQualifiersSequence", "TypeOfPatientID"),
        *("SourcePatientGroupIdentificationSequence", "GroupOfPatientsIdentificationSequence"),
        *("PatientBirthDate", "PatientBirthDateInAlternativeCalendar", "PatientDeathDateInAlternativeCalendar"),
        *("PatientAlternativeCalendar", "PatientBirthTime", "PatientSex", "ReferencedPatientSequence"),
        *("ReferencedPatientPhotoSequence", "QualityControlSubject", "OtherPatientIDs", "OtherPatientIDsSequence"),
        *("OtherPatientNames", "EthnicGroup", "EthnicGroupCodeSequence", "PatientComments"),
        *("PatientSpeciesDescription", "PatientSpeciesCodeSequence", "PatientBreedDescription"),
        *("PatientBreedCodeSequence", "BreedRegistrationSequence", "StrainDescription", "StrainNomenclature"),
        *("StrainStockSequence", "StrainAdditionalInformation", "StrainCodeSequence"),
        *("GeneticModificationsSequence", "ResponsiblePerson", "ResponsiblePersonRole", "ResponsibleOrganization"),
        *("PatientIdentityRemoved", "DeidentificationMethod", "DeidentificationMethodCodeSequence"),
    ),
    "Clinical Trial Subject, C.7.1.3": (
        *("ClinicalTrialSponsorName", "ClinicalTrialProtocolID", "IssuerOfClinicalTrialProtocolID"),
        *("OtherClinicalTrialProtocolIDsSequence", "ClinicalTrialProtocolName", "ClinicalTrialSiteID"),
        *("IssuerOfClinicalTrialSiteID", "ClinicalTrialSiteName", "ClinicalTrialSubjectID"),
        *("IssuerOfClinicalTrialSubjectID", "ClinicalTrialSubjectReadingID", "IssuerOfClinicalTrialSubjectReadingID"),
        *("ClinicalTrialProtocolEthicsCommitteeName", "ClinicalTrialProtocolEthicsCommitteeApprovalNumber"),
    ),
    "General Study, C.7.2.1": (
        *("StudyDate", "StudyTime", "StudyID", "AccessionNumber", "IssuerOfAccessionNumberSequence"),
        *("ReferringPhysicianName", "ReferringPhysicianIdentificationSequence", "ConsultingPhysicianName"),
        *("ConsultingPhysicianIdentificationSequence", "StudyDescription", "PhysiciansOfRecord"),
        *("PhysiciansOfRecordIdentificationSequence", "NameOfPhysiciansReadingStudy"),
        *("PhysiciansReadingStudyIdentificationSequence", "RequestingService", "RequestingServiceCodeSequence"),
        *("ReferencedStudySequence", "ProcedureCodeSequence", "ReasonForPerformedProcedureCodeSequence"),
    ),
    "Patient Study, C.7.2.2": (
        *("AdmittingDiagnosesDescription", "AdmittingDiagnosesCodeSequence", "PatientAge", "PatientSize"),
        *("PatientWeight", "PatientBodyMassIndex", "MeasuredAPDimension", "MeasuredLateralDimension"),
        *("PatientSizeCodeSequence", "MedicalAlerts", "Allergies", "SmokingStatus", "PregnancyStatus"),
        *("LastMenstrualDate", "PatientState", "Occupation", "AdditionalPatientHistory", "AdmissionID"),
        *("IssuerOfAdmissionIDSequence", "ReasonForVisit", "ReasonForVisitCodeSequence", "ServiceEpisodeID"),
        *("IssuerOfServiceEpisodeIDSequence", "ServiceEpisodeDescription", "PatientSexNeutered"),
    ),
    "Clinical Trial Study, C.7.2.3": (
        *("ClinicalTrialTimePointID", "IssuerOfClinicalTrialTimePointID", "ClinicalTrialTimePointDescription"),
        *("ClinicalTrialTimePointTypeCodeSequence", "LongitudinalTemporalOffsetFromEvent"),
        *("LongitudinalTemporalEventType", "ConsentForClinicalTrialUseSequence"),
    ),
    "SOP Common, C.12.1": ("SpecificCharacterSet", "TimezoneOffsetFromUTC"),
}
"""Attributes on which all objects of a study must agree."""

UTF_8 = "ISO_IR 192"
REQUIRED = (
    *("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "StudyID"),
    *("AccessionNumber", "ReferringPhysicianName"),
)
"""Those of type 2: present in every result, empty where the source lacks them."""

TEXT_VRS = frozenset(
    {"AE", "AS", "CS", "DA", "DS", "DT", "IS", "LO", "LT", "PN", "SH", "ST", "TM", "UC", "UI", "UR", "UT"}
)
"""Representations whose bytes are the same in every uncompressed transfer syntax (PS3.5 section 7)."""


def carried_elements(header: Dataset) -> tuple[Element, ...]:
    """The shared attributes the source has; text stays undecoded, whatever its character set says."""
    tags = [Tag(keyword) for module in SHARED.values() for keyword in module]
    return tuple(_element(header, tag) for tag in tags if tag in header)


def _element(header: Dataset, tag: BaseTag) -> Element:
    element = header.get_item(tag)
    if isinstance(element, RawDataElement):
        vr = element.VR or dictionary_VR(tag)
        if vr in TEXT_VRS:
            return element._replace(VR=vr)
    return header[tag]


def carry(result: Dataset, header: Dataset, carried: tuple[Element, ...], *, as_unicode: bool) -> None:
    """Give the result the source's patient and study: `carried` as read from `header` before anything decoded it.

    as_unicode: the result holds text of its own beyond ASCII. Its character set is then UTF-8 and the carried
    text is transcoded; otherwise it keeps the source's character set and the source's bytes.
    """
    for keyword in REQUIRED:
        setattr(result, keyword, None)
    for element in carried:
        result[element.tag] = header[element.tag] if as_unicode else element
    if as_unicode:
        result.SpecificCharacterSet = UTF_8
    # The writer copies undecoded elements only where it takes the data set for one that was read like this.
    correct_ambiguous_vr(result, is_little_endian=True)
    result.set_original_encoding(
        is_implicit_vr=False,
        is_little_endian=True,
        character_encoding=convert_encodings(UTF_8) if as_unicode else header.original_character_set,
    )
