"""What a report says of a segment: where it is and its numbers, or that it is absent."""

import highdicom as hd
import numpy as np
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes

from ai.contract import SegmentCard
from ai.findings import Findings, Measurement
from ai.masks import voxels_by_slice
from node.results.coding import concept, site_of
from node.results.contours import contours_of
from node.results.drawn import RegionGroup, line_of, outline_of, regions_of
from node.results.outline import area
from node.results.outlined import Outlined
from node.results.segmentation import mask_of
from node.results.stamp import Edition
from node.results.wording import rounded

DS_LENGTH = 16


def segment_group(
    number: int, segment: SegmentCard, findings: Findings, edition: Edition, segmentation: Dataset | None
) -> RegionGroup:
    """Of a segment that is there. number: its number in `segmentation`, where one goes with the report."""
    if segmentation is not None:
        return _volumetric_group(number, segment, findings, edition, segmentation)
    if edition.origin.is_flat:
        return _planar_group(segment, findings, edition)
    return _outlined_group(segment, findings, edition)


def _volumetric_group(
    number: int, segment: SegmentCard, findings: Findings, edition: Edition, segmentation: Dataset
) -> hd.sr.VolumetricROIMeasurementsAndQualitativeEvaluations:
    group = hd.sr.VolumetricROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=tracking_of(segment, edition),
        referenced_segment=hd.sr.ReferencedSegment(
            sop_class_uid=segmentation.SOPClassUID,
            sop_instance_uid=segmentation.SOPInstanceUID,
            segment_number=number,
            source_series=hd.sr.SourceSeriesForSegmentation(edition.origin.grid.series_uid),
        ),
        finding_type=concept(segment.type),
        finding_sites=[site_of(segment)],
        algorithm_id=edition.algorithm.for_report(),
        measurements=_numbers_in(segment, findings, edition),
    )
    group[0].ContentSequence.append(outline_of(mask_of(findings, segment), edition.origin))
    return group


def _outlined_group(
    segment: SegmentCard, findings: Findings, edition: Edition
) -> hd.sr.VolumetricROIMeasurementsAndQualitativeEvaluations:
    """Where no segmentation goes with the report, the region is its outlines on all slices, the largest first."""
    mask = mask_of(findings, segment)
    voxels = voxels_by_slice(mask)
    largest = int(np.argmax(voxels))
    reached = sorted(np.flatnonzero(voxels).tolist(), key=lambda index: abs(index - largest))
    lines = [
        Outlined(index, line) for index in reached for line in sorted(contours_of(mask[index]), key=area, reverse=True)
    ]
    return hd.sr.VolumetricROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=tracking_of(segment, edition),
        referenced_regions=regions_of(lines, edition.origin),
        finding_type=concept(segment.type),
        finding_sites=[site_of(segment)],
        algorithm_id=edition.algorithm.for_report(),
        measurements=_numbers_in(segment, findings, edition),
    )


def _planar_group(
    segment: SegmentCard, findings: Findings, edition: Edition
) -> hd.sr.PlanarROIMeasurementsAndQualitativeEvaluations:
    """The region is the segment's largest part; its other parts and its holes are drawn beside it."""
    largest, *others = sorted(contours_of(mask_of(findings, segment)[0]), key=area, reverse=True)
    group = hd.sr.PlanarROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=tracking_of(segment, edition),
        referenced_region=regions_of([Outlined(0, largest)], edition.origin)[0],
        finding_type=concept(segment.type),
        finding_sites=[site_of(segment)],
        algorithm_id=edition.algorithm.for_report(),
        measurements=_numbers_in(segment, findings, edition),
    )
    group[0].ContentSequence.extend(line_of(Outlined(0, line), edition.origin) for line in others)
    return group


def absent_group(
    segment: SegmentCard, findings: Findings, edition: Edition
) -> hd.sr.MeasurementsAndQualitativeEvaluations:
    return hd.sr.MeasurementsAndQualitativeEvaluations(
        tracking_identifier=tracking_of(segment, edition),
        finding_type=concept(segment.type),
        finding_sites=[site_of(segment)],
        algorithm_id=edition.algorithm.for_report(),
        measurements=_numbers_in(segment, findings, edition),
        qualitative_evaluations=[hd.sr.QualitativeEvaluation(concept(segment.type), codes.SCT.Absent)],
    )


def number_of(measurement: Measurement, edition: Edition) -> hd.sr.Measurement:
    declared = edition.card.measurement(measurement.key)
    value = rounded(measurement, declared)
    number = hd.sr.Measurement(
        name=concept(declared.name),
        value=value,
        unit=concept(declared.unit),
        derivation=concept(declared.derivation) if declared.derivation else None,
        method=concept(declared.method) if declared.method else None,
    )
    digits = f"{value:.{max(declared.digits, 0)}f}"
    if len(digits) <= DS_LENGTH:  # readers print what stands there: 1982, not 1982.0
        number[0].MeasuredValueSequence[0].NumericValue = digits
    return number


def tracking_of(segment: SegmentCard, edition: Edition) -> hd.sr.TrackingIdentifier:
    return hd.sr.TrackingIdentifier(uid=edition.run.tracking_uid(segment.key), identifier=segment.key)


def _numbers_in(segment: SegmentCard, findings: Findings, edition: Edition) -> list[hd.sr.Measurement]:
    """Of this segment alone."""
    return [number_of(one, edition) for one in findings.measurements if one.segments == (segment.key,)]
