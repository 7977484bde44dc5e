"""What a report says of classifications and detections: how probable, by which threshold, and where."""

from typing import cast

import highdicom as hd
from pydicom.sr.codedict import codes

from ai.contract import Code, DetectionCard
from ai.findings import Classification, Detection, Shape
from node.results.coding import concept, site_of
from node.results.drawn import RegionGroup, line_of, regions_of, surface_of
from node.results.outlined import outlines_of
from node.results.profile import Coordinates
from node.results.stamp import Edition
from node.results.wording import is_present, shown_score

PROBABILITY = Code("122157", "DCM", "Probability")
NO_UNITS = Code("1", "UCUM", "no units")


def detection_group(number: int, found: Detection, edition: Edition) -> RegionGroup:
    """A volumetric group (TID 1411) with the region on each slice that it crosses, the middle one first.

    On a radiograph it is a planar group (TID 1410); where the profile says so, its region lies in the patient. Viewers
    draw the first coordinates of a group: what OHIF does not draw as it is stands behind the same on one image.
    """
    card, outlines = edition.card.detection(found.key), outlines_of(found)
    parameters = None if card.threshold is None else [f"threshold={card.threshold:g}"]
    tracking = hd.sr.TrackingIdentifier(
        uid=edition.run.tracking_uid(f"{found.key}/{number}"), identifier=f"{found.key} {number}"
    )
    kind, sites, algorithm = concept(card.type), [site_of(card)], edition.algorithm.for_report(parameters)
    measurements = [] if found.score is None else [_probability(found.score)]
    regions = regions_of(outlines, edition.origin)
    in_patient = is_in_patient(edition)
    group: RegionGroup
    if edition.origin.is_flat:
        group = hd.sr.PlanarROIMeasurementsAndQualitativeEvaluations(
            tracking,
            referenced_region=regions[0],
            finding_type=kind,
            finding_sites=sites,
            algorithm_id=algorithm,
            measurements=measurements,
        )
    else:
        group = hd.sr.VolumetricROIMeasurementsAndQualitativeEvaluations(
            tracking,
            referenced_regions=None if in_patient else regions,
            referenced_volume_surface=surface_of(outlines, edition.origin) if in_patient else None,
            finding_type=kind,
            finding_sites=sites,
            algorithm_id=algorithm,
            measurements=measurements,
        )
    if in_patient or found.shape is Shape.POINT:
        items = group[0].ContentSequence
        region = next(place for place, item in enumerate(items) if "GraphicData" in item)
        items.insert(region, line_of(outlines[0], edition.origin))
    return group


def is_in_patient(edition: Edition) -> bool:
    """Whether detections are surfaces (SCOORD3D), which a radiograph has no place for."""
    return edition.profile.coordinates is Coordinates.PATIENT and not edition.origin.is_flat


def undetected_group(card: DetectionCard, edition: Edition) -> hd.sr.MeasurementsAndQualitativeEvaluations:
    """A plain group (TID 1501): it was looked for, and there is none."""
    return hd.sr.MeasurementsAndQualitativeEvaluations(
        tracking_identifier=hd.sr.TrackingIdentifier(uid=edition.run.tracking_uid(card.key), identifier=card.key),
        finding_type=concept(card.type),
        finding_sites=[site_of(card)],
        algorithm_id=edition.algorithm.for_report(),
        qualitative_evaluations=[hd.sr.QualitativeEvaluation(concept(card.type), codes.SCT.Absent)],
    )


def classification_group(one: Classification, edition: Edition) -> hd.sr.MeasurementsAndQualitativeEvaluations:
    """A plain group (TID 1501) of the whole study: present or absent, how probable, by which threshold."""
    card = edition.card.classification(one.key)
    return hd.sr.MeasurementsAndQualitativeEvaluations(
        tracking_identifier=hd.sr.TrackingIdentifier(uid=edition.run.tracking_uid(one.key), identifier=one.key),
        finding_type=concept(card.finding),
        finding_sites=[site_of(card)],
        algorithm_id=edition.algorithm.for_report([f"threshold={card.threshold:g}"]),
        measurements=[_probability(one.probability, _significance(one, edition))],
        qualitative_evaluations=[hd.sr.QualitativeEvaluation(concept(card.finding), presence(one, edition))],
    )


def classification_number(one: Classification, edition: Edition) -> hd.sr.ContentItem:
    """The same probability among the derived measurements, where a report's groups are regions (TID 1420)."""
    card = edition.card.classification(one.key)
    item = cast(hd.sr.ContentItem, _probability(one.probability, _significance(one, edition))[0])
    item.ContentSequence = hd.sr.ContentSequence(
        [
            *hd.sr.TrackingIdentifier(uid=edition.run.tracking_uid(one.key), identifier=one.key),
            site_of(card),
            *item.get("ContentSequence", []),
            *edition.algorithm.for_report([f"threshold={card.threshold:g}"]),
        ]
    )
    return item


def classification_code(one: Classification, edition: Edition) -> hd.sr.CodeContentItem:
    card = edition.card.classification(one.key)
    item = hd.sr.CodeContentItem(concept(card.finding), presence(one, edition), hd.sr.RelationshipTypeValues.CONTAINS)
    item.ContentSequence = hd.sr.ContentSequence([site_of(card)])
    return item


def presence(one: Classification, edition: Edition) -> hd.sr.CodedConcept:
    word = codes.SCT.Present if is_present(one, edition.card) else codes.SCT.Absent
    return hd.sr.CodedConcept.from_code(word)


def _significance(one: Classification, edition: Edition) -> Code | None:
    return edition.card.classification(one.key).significance if is_present(one, edition.card) else None


def _probability(value: float, significance: Code | None = None) -> hd.sr.Measurement:
    properties = None
    if significance is not None:
        properties = hd.sr.MeasurementProperties(level_of_significance=concept(significance))
    number = hd.sr.Measurement(
        name=concept(PROBABILITY), value=shown_score(value), unit=concept(NO_UNITS), properties=properties
    )
    number[0].MeasuredValueSequence[0].NumericValue = f"{shown_score(value):.3f}"
    return number
