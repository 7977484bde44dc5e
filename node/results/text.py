"""The findings as a Basic Text SR: the same numbers in words, for viewers that show a measurement report as nothing."""

from collections.abc import Sequence

import highdicom as hd
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code
from pydicom.uid import BasicTextSRStorage

from ai.findings import Findings
from node.results.evidence import Evidence, sources_of, study_item
from node.results.result import ResultObject
from node.results.stamp import Edition, new_object, put_predecessors, stamp
from node.results.uids import RenditionKind
from node.results.wording import (
    DISCLAIMER,
    DOCUMENT_UNITS,
    absence,
    absent_segments,
    assertions,
    cautions,
    numbers_by_region,
)

TITLE = Code("18748-4", "LN", "Diagnostic Imaging Report")
"""Not (126000, DCM): viewers that find it open a pane for drawn measurements, which stays empty here."""

CONTAINS = hd.sr.RelationshipTypeValues.CONTAINS


def build_text(findings: Findings, edition: Edition, results: Sequence[ResultObject]) -> Dataset:
    """The text report; `results` are the objects of the run made before, listed as evidence beside the source."""
    evidence = sources_of(edition.origin)
    for one in results:
        listed = (one.sop_instance_uid, one.sop_class_uid)
        evidence[one.series_instance_uid] = [*evidence.get(one.series_instance_uid, []), listed]
    document = build_document(edition, RenditionKind.TEXT, evidence)
    _put_content(document, findings, edition)
    stamp(document, edition, RenditionKind.TEXT, body_part=False)
    put_predecessors(document, edition, RenditionKind.TEXT)
    return document


def build_document(edition: Edition, kind: RenditionKind, evidence: Evidence) -> Dataset:
    """A Basic Text SR without content."""
    document = new_object(edition, kind, BasicTextSRStorage, "SR")
    document.CompletionFlag = "COMPLETE"
    document.VerificationFlag = "UNVERIFIED"
    document.PreliminaryFlag = "PRELIMINARY"
    document.PerformedProcedureCodeSequence = []
    document.ReferencedPerformedProcedureStepSequence = []
    document.CurrentRequestedProcedureEvidenceSequence = [study_item(edition.origin.grid.study_uid, evidence)]
    return document


def _put_content(document: Dataset, findings: Findings, edition: Edition) -> None:
    root = hd.sr.ContainerContentItem(name=TITLE)
    root.ContentSequence = hd.sr.ContentSequence(
        [
            *hd.sr.LanguageOfContentItemAndDescendants(
                hd.sr.CodedConcept("en-US", "RFC5646", "English (United States)")
            ),
            *hd.sr.ObserverContext(codes.DCM.Device, edition.algorithm.observer()),
            section(codes.DCM.Findings, codes.DCM.Finding, _finding_lines(findings, edition)),
            section(codes.DCM.Summary, codes.DCM.Comment, _note_lines(findings, edition)),
        ]
    )
    for element in root:
        document[element.tag] = element


def _finding_lines(findings: Findings, edition: Edition) -> list[str]:
    """A sentence for each region: viewers run the lines of a section together."""
    card = edition.card
    lines = [
        f"{region}: {', '.join(f'{label} {value}' for label, value in numbers.items())}."
        for region, numbers in numbers_by_region(findings, card, DOCUMENT_UNITS).items()
    ]
    lines += assertions(findings, card)
    lines += [absence(segment) for segment in absent_segments(findings, card)]
    return lines or ["The model gave no measurements."]


def _note_lines(findings: Findings, edition: Edition) -> list[str]:
    card, origin = edition.card, edition.origin
    return [
        DISCLAIMER,
        *findings.summary,
        f"Made by {card.name} {card.version} ({card.vendor}).",
        f"Made from series {origin.text('SeriesNumber') or 'without number'} ({origin.text('Modality')}), "
        f"{origin.extent}.",
        *cautions(card, origin.grid.notes),
    ]


def section(name: Code, line_name: Code, lines: list[str]) -> hd.sr.ContainerContentItem:
    section = hd.sr.ContainerContentItem(name=name, relationship_type=CONTAINS)
    section.ContentSequence = hd.sr.ContentSequence(
        [hd.sr.TextContentItem(line_name, line, CONTAINS) for line in lines]
    )
    return section
