"""The words and rounded numbers in which every rendition of a run states the same findings."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from ai.contract import Code, MapCard, MeasurementCard, ModelCard, SegmentCard
from ai.findings import Classification, Findings, Map, Measurement
from node.errors import ResultUnsound

DISCLAIMER = "AI result, not reviewed by a physician. Not for diagnostic use."
STUDY = "study"
DOCUMENT_UNITS = {"[hnsf'U]": "HU", "1": ""}
"""How a document writes those units whose UCUM code (PS3.16 CID 82) is not read at once: every character set, which is
the source's, holds these words and the codes themselves."""
UNIT_WORDS = DOCUMENT_UNITS | {"mm2": "mm²", "mm3": "mm³", "cm3": "cm³", "Cel": "°C", "ug": "µg"}
"""How people write units where no character set limits them: in pictures and on the command line."""


@dataclass(frozen=True)
class MeasurementRow:
    """One number as people and measurements.json get it: rounded to the digits its card calls meaningful.

    segment: label of the region, "study" where the number holds for the study. unit: UCUM code.
    """

    segment: str
    name: str
    code: str
    scheme: str
    value: float
    unit: str


def measurement_rows(findings: Findings, card: ModelCard) -> tuple[MeasurementRow, ...]:
    """Every measurement in the model's order. Raises CardInvalid for one its card does not declare."""
    return tuple(
        MeasurementRow(
            segment=region_label(one, card),
            name=declared.label,
            code=declared.name.value,
            scheme=declared.name.scheme,
            value=rounded(one, declared),
            unit=declared.unit.value,
        )
        for one, declared in ((one, card.measurement(one.key)) for one in findings.measurements)
    )


def rounded(measurement: Measurement, card: MeasurementCard) -> float:
    """The value at its card's digits; never minus zero."""
    return round(float(measurement.value), card.digits) + 0.0


def written(measurement: Measurement, card: MeasurementCard, units: Mapping[str, str] = UNIT_WORDS) -> str:
    """The value with its unit, as people read it."""
    unit = units.get(card.unit.value, card.unit.value)
    return f"{rounded(measurement, card):.{max(card.digits, 0)}f} {unit}".strip()


def region_label(measurement: Measurement, card: ModelCard) -> str:
    """Where a number was measured: a segment, several taken together ("Both lungs"), or the study."""
    segments = [card.segment(key) for key in measurement.segments]
    if not segments:
        return STUDY
    if len(segments) == 2 and _is_pair(segments[0], segments[1]):
        return f"Both {segments[0].type.meaning.lower()}s"
    return " + ".join(one.label for one in segments)


def numbers_by_region(
    findings: Findings, card: ModelCard, units: Mapping[str, str] = UNIT_WORDS
) -> dict[str, dict[str, str]]:
    """What was measured where, as people read it: label and value under each region, in the model's order.

    units: DOCUMENT_UNITS for text whose character set is the source's.
    Raises ResultUnsound where two numbers of a region would bear the same label.
    """
    numbers: dict[str, dict[str, str]] = {}
    for one in findings.measurements:
        declared = card.measurement(one.key)
        of_region = numbers.setdefault(capitalised(region_label(one, card)), {})
        if declared.label in of_region:
            raise ResultUnsound(f"{card.name}: {region_label(one, card)} has two numbers labelled {declared.label!r}")
        of_region[declared.label] = written(one, declared, units)
    return numbers


def capitalised(text: str) -> str:
    return text[:1].upper() + text[1:]


def _is_pair(one: SegmentCard, other: SegmentCard) -> bool:
    """The same structure on the two sides of the body."""
    return (one.type.value, one.type.scheme) == (other.type.value, other.type.scheme) and {
        _side(one),
        _side(other),
    } == {"24028007", "7771000"}


def _side(segment: SegmentCard) -> str:
    side = segment.modifier or segment.laterality
    return side.value if side else ""


def present_segments(findings: Findings, card: ModelCard) -> tuple[SegmentCard, ...]:
    """Segments with at least one voxel, in the card's order; their place is their number in the segmentation."""
    found = {segment.key for segment in findings.segments if segment.mask.any()}
    return tuple(one for one in card.segments if one.key in found)


def is_negative(findings: Findings, card: ModelCard) -> bool:
    """Whether the model found nothing of what its card says it looks for. Where it does not say how probable something
    is, that is not denied."""
    looks = bool(card.segments or card.detections or card.classifications)
    absent = {one.key for one in findings.classifications if not is_present(one, card)}
    denied = absent == {one.key for one in card.classifications}
    return looks and denied and not (present_segments(findings, card) or findings.detections)


def is_present(one: Classification, card: ModelCard) -> bool:
    """Whether a finding counts as present at its operating point."""
    return one.probability >= card.classification(one.key).threshold


def shown_score(value: float) -> float:
    """A probability or score at the digits that readers get."""
    return round(value, 3) + 0.0


def assertions(findings: Findings, card: ModelCard) -> list[str]:
    """Classifications, detections and maps, a sentence each, and what was looked for and not detected."""
    lines = []
    for one in findings.classifications:
        declared = card.classification(one.key)
        lines.append(
            f"{declared.label}: {'present' if is_present(one, card) else 'absent'} "
            f"(probability {shown_score(one.probability):.3f}, operating threshold {declared.threshold:g})."
        )
    for number, found in enumerate(findings.detections, 1):
        score = "" if found.score is None else f", score {shown_score(found.score):.3f}"
        place = ", ".join(f"{value + 1:.0f}" for value in found.points.mean(axis=0))
        lines.append(f"Detection {number}: {card.detection(found.key).label} at slice, row, column {place}{score}.")
    lines += [_map_sentence(one, card.map(one.key)) for one in findings.maps]
    lines += [f"{card.derived_series(one.key).label}: a series of derived images was made." for one in findings.derived]
    detected = {one.key for one in findings.detections}
    return lines + [f"{one.label}: none was detected." for one in card.detections if one.key not in detected]


def _map_sentence(one: Map, card: MapCard) -> str:
    """Its range, and where it is highest, counted from 1 as in detections."""
    unit = DOCUMENT_UNITS.get(card.unit.value, card.unit.value)
    highest = np.unravel_index(int(np.argmax(one.values)), one.values.shape)
    place = ", ".join(str(int(value) + 1) for value in highest)
    low, high = float(one.values.min()), float(one.values.max())
    return (
        f"{card.label}: a map from {low:.4g} to {high:.4g} {unit}".rstrip()
        + f", highest at slice, row, column {place}."
    )


def absent_segments(findings: Findings, card: ModelCard) -> tuple[SegmentCard, ...]:
    """Segments the card declares and this run found nothing of, in the card's order."""
    present = {one.key for one in present_segments(findings, card)}
    return tuple(one for one in card.segments if one.key not in present)


def absence(segment: SegmentCard) -> str:
    return f"{segment.label}: none was found."


def cautions(card: ModelCard, of_images: tuple[str, ...]) -> tuple[str, ...]:
    """What a reader must know besides the numbers: first of these images, then of the model."""
    notes = [*of_images]
    notes += [f"Intended use: {card.intended_use}"] if card.intended_use else []
    notes += [f"Not validated for: {'; '.join(card.not_validated_for)}."] if card.not_validated_for else []
    return tuple(notes)


def too_large(size_bytes: int, most_bytes: int) -> str:
    """What readers of the other results are told of a segmentation that was left out."""
    return (
        f"The segmentation ({size_bytes / 1e6:.3g} MB) was not sent: "
        f"this destination takes up to {most_bytes / 1e6:g} MB. The report holds the outlines."
    )


def is_ascii(findings: Findings, card: ModelCard, *more: str | None) -> bool:
    """Whether all text that a run adds to its objects can be written in every character set (PS3.5 section 6.1)."""
    return all(text.isascii() for text in _texts(findings, card, *more))


def _texts(findings: Findings, card: ModelCard, *more: str | None) -> Iterator[str]:
    yield from (card.name, card.version, card.vendor, card.title, card.intended_use, *card.not_validated_for)
    yield from findings.summary
    yield from (text for text in more if text)
    for segment in card.segments:
        yield segment.label
        yield from _meanings(segment.category, segment.type, segment.modifier, segment.site, segment.laterality)
    for classification in card.classifications:
        yield classification.label
        yield from _meanings(classification.finding, classification.site, classification.laterality)
    for detection in card.detections:
        yield detection.label
        yield from _meanings(detection.type, detection.site, detection.laterality)
    for measurement in card.measurements:
        yield measurement.label
        yield from _meanings(measurement.name, measurement.unit, measurement.derivation, measurement.method)
    for one in card.maps:
        yield one.label
        yield from _meanings(one.quantity, one.unit)
    for series in card.derived:
        yield series.label
        yield from _meanings(series.derivation)


def _meanings(*codes: Code | None) -> Iterator[str]:
    yield from (code.meaning for code in codes if code)
