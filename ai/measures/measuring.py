"""Adds to a model's findings what its card wants measured of its segments."""

from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np

from ai.contract import MeasureCard, ModelCard
from ai.findings import Findings, Measurement, Segment
from ai.measures.intensity import intensity
from ai.measures.plane import centroid, in_plane
from ai.measures.region import Region, region
from ai.measures.shape import shape
from ai.measures.table import LENGTHS, Family, feature
from ai.measures.texture import GreyLevels, cooccurrence, texture
from ai.volume import Inputs, Volume

AT_DETECTOR = (
    "Lengths were measured at the detector; in the patient they are shorter, by a magnification that the images do not "
    "state."
)


def measured(findings: Findings, card: ModelCard, inputs: Inputs) -> Findings:
    """The findings with every [[measure]] of the card; a feature that a segment leaves undefined is left out.

    Raises ModelRefused where a segment lies on images without calibrated spacing.
    """
    added = tuple(
        one
        for wanted in card.measures
        for key in wanted.segments
        for segment in [findings.segment(key)]
        if segment is not None
        for one in _of_segment(segment, wanted, inputs.volumes[segment.grid])
    )
    words = (AT_DETECTOR,) if any(_is_at_detector(one, findings, inputs) for one in added) else ()
    return replace(findings, measurements=(*findings.measurements, *added), summary=(*findings.summary, *words))


def _is_at_detector(one: Measurement, findings: Findings, inputs: Inputs) -> bool:
    """Whether it is a length or an area on images that are calibrated at the detector alone (PS3.3 10.7.1.3)."""
    segment = findings.segment(one.segments[0])
    return (
        segment is not None
        and feature(one.key).unit in LENGTHS
        and inputs.volumes[segment.grid].facts.calibrated_at == "detector"
    )


def features(found: Region, families: frozenset[Family], levels: GreyLevels) -> Mapping[str, float]:
    """All features of these families by key; undefined ones are not numbers or absent."""
    values: dict[str, float] = {}
    if Family.SHAPE in families:
        values |= shape(found)
    if Family.PLANE in families:
        values |= in_plane(found)
    if Family.CENTROID in families:
        values |= centroid(found)
    if Family.INTENSITY in families:
        values |= intensity(found.inside)
    if Family.TEXTURE in families:
        values |= texture(cooccurrence(levels.of(found)))
    return values


def _of_segment(segment: Segment, wanted: MeasureCard, volume: Volume) -> Iterator[Measurement]:
    found = region(segment.mask, volume)
    if found is None:
        return
    levels = GreyLevels(wanted.grey_levels, wanted.grey_level_width, wanted.grey_level_start)
    families = frozenset(feature(key).family for key in wanted.features)
    if volume.affine_lps is None:
        families -= {Family.SHAPE}  # a projection has no depth, and its spacing along it is none of the patient's
    values = features(found, families, levels)
    for key in wanted.features:
        if np.isfinite(values.get(key, np.nan)):
            yield Measurement(key, values[key], (segment.key,))
