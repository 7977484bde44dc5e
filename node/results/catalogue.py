"""The measurement report as the root of its set: it names every other object that goes to the same destination."""

from collections.abc import Sequence
from pathlib import Path

import highdicom as hd
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes

from node.results.checks import expect
from node.results.result import ResultObject
from node.results.stamp import SERIES_CODES

CATALOGUE = codes.DCM.DICOMObjectCatalog
"""A container beyond TID 1500, which is extensible; displays that follow IHE AIR walk from the root (RAD-136)."""

PURPOSE = codes.DCM.CurrentProcedureEvidence
"""Of a reference to a kind that has no code of its own."""

CONTAINS = hd.sr.RelationshipTypeValues.CONTAINS


def catalogue_of(results: Sequence[ResultObject]) -> hd.sr.ContainerContentItem:
    """An item for each object, in the order in which they are sent, named by what it is."""
    container = hd.sr.ContainerContentItem(name=CATALOGUE, relationship_type=CONTAINS)
    container.ContentSequence = hd.sr.ContentSequence([_reference(one) for one in results])
    return container


def _reference(one: ResultObject) -> hd.sr.ImageContentItem | hd.sr.CompositeContentItem:
    item = hd.sr.ImageContentItem if one.kind.is_image else hd.sr.CompositeContentItem
    return item(
        name=SERIES_CODES.get(one.kind, PURPOSE),
        referenced_sop_class_uid=one.sop_class_uid,
        referenced_sop_instance_uid=one.sop_instance_uid,
        relationship_type=CONTAINS,
    )


def check_catalogue(path: Path, found: Dataset, results: Sequence[ResultObject]) -> None:
    """It names all of the set and nothing else, and each is evidence."""
    listed = [
        item.ReferencedSOPSequence[0].ReferencedSOPInstanceUID
        for container in found.ContentSequence
        if container.ConceptNameCodeSequence[0].get("CodeValue") == CATALOGUE.value
        for item in container.ContentSequence
    ]
    expect(path, "the set that it ties together", listed, [one.sop_instance_uid for one in results])
    evidence = {
        (str(series.SeriesInstanceUID), str(item.ReferencedSOPInstanceUID))
        for study in found.CurrentRequestedProcedureEvidenceSequence
        for series in study.ReferencedSeriesSequence
        for item in series.ReferencedSOPSequence
    }
    lacking = {(one.series_instance_uid, one.sop_instance_uid) for one in results} - evidence
    expect(path, "results that are no evidence", lacking, set())
