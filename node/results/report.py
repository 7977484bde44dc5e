"""The Measurement Report (PS3.16 TID 1500): every number with its code, unit and region."""

from collections.abc import Sequence
from typing import cast

import highdicom as hd
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code

from ai.contract import ModelCard
from ai.findings import Findings, Measurement
from node.results.asserted import (
    classification_code,
    classification_group,
    classification_number,
    detection_group,
    undetected_group,
)
from node.results.catalogue import catalogue_of
from node.results.coding import concept, site_of
from node.results.drawn import RegionGroup
from node.results.evidence import evidence_of
from node.results.measured import absent_group, number_of, segment_group, tracking_of
from node.results.profile import ReportClass
from node.results.result import ResultObject
from node.results.stamp import Edition, put_predecessors, stamp
from node.results.uids import RenditionKind
from node.results.wording import (
    DISCLAIMER,
    absence,
    absent_segments,
    assertions,
    cautions,
    present_segments,
    region_label,
)

CONTAINS = hd.sr.RelationshipTypeValues.CONTAINS
OBS_CONTEXT = hd.sr.RelationshipTypeValues.HAS_OBS_CONTEXT

PROCEDURES: dict[str, Code] = {
    "CT": codes.LN.CTUnspecifiedBodyRegion,
    "MR": codes.LN.MRIUnspecifiedBodyRegion,
    "PT": codes.LN.PETUnspecifiedBodyRegion,
    "NM": codes.LN.NMUnspecifiedBodyRegion,
}
"""Procedure Reported by modality; another is an Imaging Procedure. All are members of PS3.16 CID 100."""

REPORT_CLASSES = {
    ReportClass.COMPREHENSIVE: hd.sr.ComprehensiveSR,
    ReportClass.COMPREHENSIVE_3D: hd.sr.Comprehensive3DSR,
}

Group = RegionGroup | hd.sr.MeasurementsAndQualitativeEvaluations

QUALITATIVE_EVALUATIONS = Code("C0034375", "UMLS", "Qualitative Evaluations")

NOTHING_DRAWN_TITLE = Code("18748-4", "LN", "Diagnostic Imaging Report")
"""Of a report whose groups draw nothing: viewers that find (126000, DCM) open a pane of images with drawn measurements,
which stays empty; with another title they show the report as text. CID 7021 is extensible."""


def build_report(
    findings: Findings, edition: Edition, segmentation: Dataset | None, others: Sequence[ResultObject] = ()
) -> Dataset:
    """The report, of the profile's SOP class; its groups refer to the segments of `segmentation`.

    others: every other object of the set, all of which it names.
    """
    drawn = draws(findings, edition.card)
    tree = hd.sr.MeasurementReport(
        observation_context=hd.sr.ObservationContext(
            observer_device_context=hd.sr.ObserverContext(codes.DCM.Device, edition.algorithm.observer())
        ),
        procedure_reported=PROCEDURES.get(edition.origin.text("Modality"), codes.SCT.ImagingProcedure),
        imaging_measurements=_groups(findings, edition, segmentation),
        title=codes.DCM.ImagingMeasurementReport if drawn else NOTHING_DRAWN_TITLE,
    )
    derived = _derived(findings, edition, segmentation)
    if derived:
        tree[0].ContentSequence.append(
            _container(codes.DCM.DerivedImagingMeasurements, [*edition.algorithm.for_report(), *derived])
        )
    tree[0].ContentSequence.append(_container(QUALITATIVE_EVALUATIONS, _evaluations(findings, edition)))
    if others:
        tree[0].ContentSequence.append(catalogue_of(others))
    measured = next(one for one in tree[0].ContentSequence if one.name == codes.DCM.ImagingMeasurements)
    groups, measured.ContentSequence = measured.ContentSequence, hd.sr.ContentSequence()
    report: Dataset = REPORT_CLASSES[edition.profile.report](
        evidence=[*evidence_of(edition.origin), *(one.named() for one in others)],
        content=tree,
        series_instance_uid=edition.run.series_uid(RenditionKind.SR),
        series_number=edition.series_number(RenditionKind.SR),
        sop_instance_uid=edition.run.instance_uid(RenditionKind.SR),
        instance_number=1,
        is_complete=True,
        is_final=False,
        is_verified=False,
        series_description=edition.series_description(RenditionKind.SR),
    )
    measured.ContentSequence = groups  # put in last: the library copies and walks through all that it is given
    stamp(report, edition, RenditionKind.SR, body_part=False)
    put_predecessors(report, edition, RenditionKind.SR)
    return report


def _groups(findings: Findings, edition: Edition, segmentation: Dataset | None) -> list[Group]:
    """A volumetric group (TID 1411) for each segment and detection; where nothing was found, plain ones (TID 1501).

    On a radiograph regions are planar groups (TID 1410). Kinds are never mixed: validators cannot tell them apart in
    one container.
    """
    groups: list[Group] = [
        segment_group(number, segment, findings, edition, segmentation)
        for number, segment in enumerate(present_segments(findings, edition.card), 1)
    ]
    groups += [detection_group(number, found, edition) for number, found in enumerate(findings.detections, 1)]
    if groups:
        return groups
    plain: list[Group] = [
        *(absent_group(segment, findings, edition) for segment in edition.card.segments),
        *(undetected_group(card, edition) for card in edition.card.detections),
        *(classification_group(one, edition) for one in findings.classifications),
    ]
    return plain or [_study_group(edition)]


def draws(findings: Findings, card: ModelCard) -> bool:
    """Whether the report's groups are regions, which viewers draw."""
    return bool(present_segments(findings, card) or findings.detections)


def _study_group(edition: Edition) -> hd.sr.MeasurementsAndQualitativeEvaluations:
    """Of a run that has numbers of the study alone, or maps and images alone: every report has a group."""
    name = edition.card.name
    return hd.sr.MeasurementsAndQualitativeEvaluations(
        tracking_identifier=hd.sr.TrackingIdentifier(uid=edition.run.tracking_uid(name), identifier=name),
        algorithm_id=edition.algorithm.for_report(),
    )


def _derived(findings: Findings, edition: Edition, segmentation: Dataset | None) -> list[hd.sr.ContentItem]:
    """Numbers of several regions, of the study, or of a region that has no segment to refer to (TID 1420)."""
    present = {segment.key: number for number, segment in enumerate(present_segments(findings, edition.card), 1)}
    drawn = draws(findings, edition.card)
    items: list[hd.sr.ContentItem] = []
    if drawn:
        items += [classification_number(one, edition) for one in findings.classifications]
    for one in findings.measurements:
        grouped = len(one.segments) == 1 and (not drawn or one.segments[0] in present)
        if grouped:
            continue
        item = cast(hd.sr.ContentItem, number_of(one, edition)[0])
        numbers = [present[key] for key in one.segments if key in present]
        details = [*_regions(one, edition), *item.get("ContentSequence", [])]
        if segmentation is not None and numbers:
            details.append(_inferred_from(segmentation, numbers))
        item.ContentSequence = hd.sr.ContentSequence(details)
        items.append(item)
    return items


def _regions(measurement: Measurement, edition: Edition) -> list[hd.sr.ContentItem]:
    """Which regions a derived number is of: for people in words, for programs as sites."""
    segments = [edition.card.segment(key) for key in measurement.segments]
    if len(segments) == 1:
        return [*tracking_of(segments[0], edition), site_of(segments[0])]
    words = hd.sr.TextContentItem(codes.DCM.TrackingIdentifier, region_label(measurement, edition.card), OBS_CONTEXT)
    return [words, *(site_of(segment) for segment in segments)]


def _inferred_from(segmentation: Dataset, numbers: list[int]) -> hd.sr.ImageContentItem:
    """The segments a number was derived from, by value: a by-reference item would stop common readers."""
    return hd.sr.ImageContentItem(
        name=codes.DCM.ReferencedSegment,
        referenced_sop_class_uid=segmentation.SOPClassUID,
        referenced_sop_instance_uid=segmentation.SOPInstanceUID,
        referenced_segment_numbers=numbers,
        relationship_type=hd.sr.RelationshipTypeValues.INFERRED_FROM,
    )


def _evaluations(findings: Findings, edition: Edition) -> list[hd.sr.ContentItem]:
    """Regions of which nothing was found, the model's own words, and what a reader must know."""
    card = edition.card
    items: list[hd.sr.ContentItem] = []
    for segment in absent_segments(findings, card):
        absent = hd.sr.CodeContentItem(concept(segment.type), codes.SCT.Absent, CONTAINS)
        absent.ContentSequence = hd.sr.ContentSequence([site_of(segment)])
        items += [absent, _comment(absence(segment))]
    if draws(findings, card):
        items += [classification_code(one, edition) for one in findings.classifications]
    items += [_comment(line) for line in assertions(findings, card)]
    items += [_comment(line) for line in (*findings.summary, DISCLAIMER)]
    items += [_comment(line) for line in cautions(card, edition.origin.grid.notes)]
    return items


def _comment(text: str) -> hd.sr.TextContentItem:
    return hd.sr.TextContentItem(codes.DCM.Comment, text, CONTAINS)


def _container(name: Code, items: Sequence[hd.sr.ContentItem]) -> hd.sr.ContainerContentItem:
    container = hd.sr.ContainerContentItem(name=name, relationship_type=CONTAINS)
    container.ContentSequence = hd.sr.ContentSequence(items)
    return container
