"""Checks a measurement report read back from its bytes: every number, and the segment each group refers to."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset

from ai.contract import Code, SegmentCard
from ai.findings import Findings, Shape
from node.errors import ResultUnsound
from node.results.asserted import NO_UNITS, PROBABILITY, is_in_patient
from node.results.checks import expect
from node.results.coding import same_code
from node.results.drawn import check_outline, region_points, surface_of
from node.results.outlined import outlines_of
from node.results.segmentation import mask_of
from node.results.stamp import Edition
from node.results.wording import present_segments, rounded, shown_score

MEASUREMENT_GROUP, TRACKING_UID, REFERENCED_SEGMENT = "125007", "112040", "121191"
COORDINATE_TOLERANCE = 0.001
"""Of coordinates written as 32-bit floats, in pixels or mm."""


def check_report(path: Path, found: Dataset, findings: Findings, edition: Edition) -> None:
    """Every measurement stands once with its code, value and unit; groups name segments under their tracking UID."""
    left: dict[float, list[Dataset]] = {}
    for item in _items(found):
        if item.ValueType == "NUM":
            left.setdefault(float(item.MeasuredValueSequence[0].NumericValue), []).append(item)
    for probability in _probabilities(findings):
        if not _taken(left, PROBABILITY, probability, NO_UNITS):
            raise ResultUnsound(f"{path.name}: the probability {probability} is not in it")
    for one in findings.measurements:
        declared = edition.card.measurement(one.key)
        if not _taken(left, declared.name, rounded(one, declared), declared.unit):
            raise ResultUnsound(f"{path.name}: {one.key} of {one.segments or 'the study'} is not in it as measured")
    too_many = sum(map(len, left.values()))
    if too_many:
        raise ResultUnsound(f"{path.name}: it states {too_many} numbers that the model did not give")
    present = present_segments(findings, edition.card)
    for group in _items(found):
        if _named(group, MEASUREMENT_GROUP):
            _check_group(path, group, present, findings, edition)
    _check_detections(path, found, findings, edition)


def _taken(left: dict[float, list[Dataset]], name: Code, value: float, unit: Code) -> bool:
    """Whether there is such a number among those left, which are by value; it is left no more."""
    same = left.get(value, [])
    for place, item in enumerate(same):
        units = item.MeasuredValueSequence[0].MeasurementUnitsCodeSequence[0]
        if same_code(item.ConceptNameCodeSequence[0], name) and same_code(units, unit):
            del same[place]
            return True
    return False


def _probabilities(findings: Findings) -> list[float]:
    scores = [one.score for one in findings.detections if one.score is not None]
    return [shown_score(value) for value in (*(one.probability for one in findings.classifications), *scores)]


def _check_group(
    path: Path, group: Dataset, present: tuple[SegmentCard, ...], findings: Findings, edition: Edition
) -> None:
    tracking = _tracking(group)
    for item in group.ContentSequence:
        if _named(item, REFERENCED_SEGMENT):
            number = int(item.ReferencedSOPSequence[0].ReferencedSegmentNumber)
            expected = edition.run.tracking_uid(present[number - 1].key) if number <= len(present) else None
            expect(path, f"tracking UID of segment {number}", tracking, expected)
    lines = [item for item in group.ContentSequence if item.ValueType == "SCOORD"]
    for segment in (one for one in present if edition.run.tracking_uid(one.key) == tracking):
        if not lines:
            raise ResultUnsound(f"{path.name}: segment {segment.key!r} is not drawn in it")
        for line in lines:
            check_outline(path, line, mask_of(findings, segment), edition.origin)


def _check_detections(path: Path, found: Dataset, findings: Findings, edition: Edition) -> None:
    """Every detection is drawn where it was found, on each slice that it crosses, in a group of its own."""
    groups = {_tracking(item): item for item in _items(found) if _named(item, MEASUREMENT_GROUP)}
    for number, one in enumerate(findings.detections, 1):
        group = groups.get(edition.run.tracking_uid(f"{one.key}/{number}"))
        drawn = [] if group is None else [item for item in group.ContentSequence if "GraphicData" in item]
        outlines, in_patient = outlines_of(one), is_in_patient(edition)
        beside = outlines[:1] if in_patient or one.shape is Shape.POINT else []
        regions = [] if in_patient else outlines
        surface = surface_of(outlines, edition.origin) if in_patient else []
        expected = [list(outline.points.ravel()) for outline in beside]
        expected += [list(region_points(outline.points).ravel()) for outline in regions]
        expected += [item.GraphicData for item in surface if "GraphicData" in item]
        named = [
            edition.origin.index_of(item.ContentSequence[0].ReferencedSOPSequence[0])
            for item in drawn
            if item.ValueType == "SCOORD"
        ]
        expect(path, f"slices of {one.key} {number}", named, [outline.slice_index for outline in (*beside, *regions)])
        if len(drawn) != len(expected) or not all(
            np.allclose(item.GraphicData, points, rtol=0, atol=COORDINATE_TOLERANCE)
            for item, points in zip(drawn, expected, strict=True)
        ):
            raise ResultUnsound(f"{path.name}: {one.key} {number} is not drawn where it was found")


def _tracking(group: Dataset) -> str:
    return str(next(item.UID for item in group.ContentSequence if _named(item, TRACKING_UID)))


def _named(item: Dataset, code: str) -> bool:
    return "ConceptNameCodeSequence" in item and item.ConceptNameCodeSequence[0].get("CodeValue") == code


def _items(tree: Dataset) -> Iterator[Dataset]:
    """Every content item below one."""
    for item in tree.get("ContentSequence", []):
        yield item
        yield from _items(item)
