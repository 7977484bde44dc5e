"""Gives a result object what all objects of its run have in common."""

import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone

import highdicom as hd
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code
from pydicom.uid import UID, ExplicitVRLittleEndian

from ai.contract import ModelCard
from node.results.anatomy import put_anatomy
from node.results.carried import carry
from node.results.coding import private_schemes
from node.results.equipment import NODE, Algorithm
from node.results.origin import Origin
from node.results.profile import Predecessor, Profile
from node.results.requests import put_requests
from node.results.uids import RenditionKind, RunIdentity

UTC_OFFSET = re.compile(r"([+-])([01][0-9])([0-5][0-9])")
SERIES_WORDS = {
    RenditionKind.SEG: "SEG",
    RenditionKind.SR: "SR",
    RenditionKind.TEXT: "text",
    RenditionKind.SUMMARY: "summary",
    RenditionKind.PDF: "PDF",
    RenditionKind.KO: "key images",
    RenditionKind.RTSTRUCT: "RTSTRUCT",
    RenditionKind.GSPS: "GSPS",
    RenditionKind.MAP: "map",
    RenditionKind.DERIVED: "derived",
    RenditionKind.NOTICE: "NOT ANALYSED",
    RenditionKind.NOTICE_PAGE: "NOT ANALYSED (page)",
    RenditionKind.REJECTION: "replaced results",
}
"""Last word of each series' description, and its place after the first series number (design section 8)."""

SERIES_CODES = {
    RenditionKind.SEG: codes.DCM.Segmentation,
    RenditionKind.SR: codes.DCM.ImagingMeasurementReport,
    RenditionKind.TEXT: Code("18748-4", "LN", "Diagnostic Imaging Report"),
    RenditionKind.SUMMARY: codes.DCM.Summary,
    RenditionKind.PDF: codes.DCM.Document,
    RenditionKind.KO: codes.DCM.KeyObjectSelection,
    RenditionKind.RTSTRUCT: codes.DCM.RTStructureSet,
    RenditionKind.GSPS: codes.DCM.PresentationState,
    RenditionKind.REJECTION: codes.DCM.RejectedForQualityReasons,
}
"""What a series is, for queries that match codes and not words (IHE AIR, table 4.137-1). Maps, derived images and
notices have no standard code that says what they are."""


@dataclass(frozen=True)
class Edition:
    """One run about to be written: its source, model, identity and the forms asked for.

    as_unicode: the run's own text goes beyond ASCII.
    """

    origin: Origin
    card: ModelCard
    run: RunIdentity
    route: str
    as_unicode: bool
    profile: Profile = field(default_factory=Profile)
    predecessors: tuple[Predecessor, ...] = ()

    @property
    def algorithm(self) -> Algorithm:
        return Algorithm.of(self.card)

    def series_description(self, kind: RenditionKind, label: str = "") -> str:
        """label: of the map or derived series."""
        return f"{self.profile.label} {self.card.name} {SERIES_WORDS[kind]} {label}"[:64].rstrip()

    def content_label(self, what: str) -> str:
        """Content Label (0070,0080): a code string, of capitals."""
        return f"{self.profile.label.upper().replace(' ', '_')}_{what}"[:16]

    def series_number(self, kind: RenditionKind) -> int:
        return self.profile.series_base + list(SERIES_WORDS).index(kind)

    @property
    def started_at(self) -> datetime:
        """The analysis start on the clock of the source: its stated offset, else this machine's time zone."""
        found = UTC_OFFSET.fullmatch(self.origin.text("TimezoneOffsetFromUTC"))
        if found is None:
            return self.run.started_at.astimezone()
        sign, hours, minutes = found.groups()
        offset = timedelta(hours=int(hours), minutes=int(minutes))
        return self.run.started_at.astimezone(timezone(offset if sign == "+" else -offset))


def new_object(edition: Edition, kind: RenditionKind, sop_class: UID, modality: str) -> Dataset:
    """The one object of its series, of a class for which highdicom has none; its content and `stamp` come after."""
    made: Dataset = hd.SOPClass(
        study_instance_uid=edition.origin.grid.study_uid,
        series_instance_uid=edition.run.series_uid(kind),
        series_number=edition.series_number(kind),
        sop_instance_uid=edition.run.instance_uid(kind),
        sop_class_uid=sop_class,
        instance_number=1,
        modality=modality,
        transfer_syntax_uid=ExplicitVRLittleEndian,
        series_description=edition.series_description(kind),
        patient_birth_date="",
    )
    return made


def stamp(result: Dataset, edition: Edition, kind: RenditionKind, *, body_part: bool) -> None:
    """Set patient, study, times, equipment and labels.

    body_part: whether the object's definition has Body Part Examined (a document has not).
    Times are the analysis start and nothing is random, so encoding a run twice gives the same bytes.
    """
    carry(result, edition.origin.header, edition.origin.carried, as_unicode=edition.as_unicode)
    date, time = edition.started_at.strftime("%Y%m%d"), edition.started_at.strftime("%H%M%S")
    result.ContentDate = result.SeriesDate = result.InstanceCreationDate = date
    result.ContentTime = result.SeriesTime = result.InstanceCreationTime = time
    result.Manufacturer = NODE.manufacturer
    result.ManufacturerModelName = NODE.model_name
    result.SoftwareVersions = NODE.version
    result.DeviceSerialNumber = NODE.device_uid
    result.ContributingEquipmentSequence = [edition.algorithm.contribution(), NODE.contribution()]
    result.ContentQualification = "RESEARCH"
    if kind in SERIES_CODES:
        result.SeriesDescriptionCodeSequence = [hd.sr.CodedConcept.from_code(SERIES_CODES[kind])]
    if body_part:
        put_anatomy(result, edition.origin, kind)
    put_requests(result, edition.origin.header, is_document=not body_part)
    schemes = private_schemes(edition.card)
    if schemes:
        result.CodingSchemeIdentificationSequence = schemes


def put_predecessors(document: Dataset, edition: Edition, kind: RenditionKind) -> None:
    """Name the documents of this kind that this one replaces (PS3.3 C.17.2)."""
    replaced = [one for one in edition.predecessors if one.rendition == kind.value]
    if not replaced:
        return
    study = Dataset()
    study.StudyInstanceUID = edition.origin.grid.study_uid
    study.ReferencedSeriesSequence = []
    for one in replaced:
        series, instance = Dataset(), Dataset()
        instance.ReferencedSOPClassUID = one.sop_class_uid
        instance.ReferencedSOPInstanceUID = one.sop_instance_uid
        series.SeriesInstanceUID = one.series_instance_uid
        series.ReferencedSOPSequence = [instance]
        study.ReferencedSeriesSequence.append(series)
    document.PredecessorDocumentsSequence = [study]
