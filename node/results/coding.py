"""Coded concepts of a model's card as DICOM code items."""

from collections.abc import Iterator

import highdicom as hd
from pydicom.dataset import Dataset

from ai.contract import ClassificationCard, Code, DetectionCard, ModelCard, SegmentCard


def concept(code: Code) -> hd.sr.CodedConcept:
    """Code item of a code."""
    return hd.sr.CodedConcept(value=code.value, scheme_designator=code.scheme, meaning=code.meaning)


def site_of(card: SegmentCard | ClassificationCard | DetectionCard) -> hd.sr.FindingSite:
    """Where in the body it is, and on which side."""
    laterality = concept(card.laterality) if card.laterality else None
    return hd.sr.FindingSite(anatomic_location=concept(card.site), laterality=laterality)


def same_code(item: Dataset, code: Code) -> bool:
    """Whether a code item states this code with this meaning."""
    value = item.get("CodeValue") or item.get("LongCodeValue") or item.get("URNCodeValue")
    return (value, item.get("CodingSchemeDesignator"), item.get("CodeMeaning")) == (
        code.value,
        code.scheme,
        code.meaning,
    )


def private_schemes(card: ModelCard) -> list[Dataset]:
    """Items of Coding Scheme Identification Sequence for private schemes: those that begin with 99 (PS3.16 8)."""
    schemes = sorted({code.scheme for code in codes_of(card) if code.scheme.startswith("99")})
    return [scheme_identification(scheme, card.vendor) for scheme in schemes]


def scheme_identification(scheme: str, vendor: str) -> Dataset:
    """Item of Coding Scheme Identification Sequence for a vendor's private scheme."""
    item = Dataset()
    item.CodingSchemeDesignator = scheme
    item.CodingSchemeName = f"Private codes of {vendor}"
    item.CodingSchemeResponsibleOrganization = vendor
    return item


def codes_of(card: ModelCard) -> Iterator[Code]:
    """Every code that a card declares."""
    assertions = (*card.classifications, *card.detections)
    for declared in (*card.segments, *card.measurements, *assertions, *card.maps, *card.derived):
        yield from (value for value in vars(declared).values() if isinstance(value, Code))
