"""The Segmentation (PS3.3 A.51): a segment for each region that was found, on the source's own grid."""

import highdicom as hd
import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset

from ai.contract import SegmentCard
from ai.findings import Findings, Mask
from node.errors import ResultUnsound
from node.results.coding import concept
from node.results.equipment import NODE
from node.results.profile import SegmentationType
from node.results.stamp import Edition, stamp
from node.results.stand_ins import name_dimensions, refer_to_source, stand_in_index, stand_ins
from node.results.uids import RenditionKind
from node.results.wording import present_segments

MOST_LABELS = 255
SEGMENTATION_TYPES = {
    False: hd.seg.SegmentationTypeValues.BINARY,
    True: hd.seg.SegmentationTypeValues.LABELMAP,
}


def build_segmentation(findings: Findings, edition: Edition) -> Dataset | None:
    """The Segmentation, or None where nothing was found: an empty one would say less than the report does.

    Masks are on the source's grid. A label map where the profile asks for one and the masks are disjoint.
    """
    present = present_segments(findings, edition.card)
    if not present:
        return None
    masks = [mask_of(findings, one) for one in present]
    overlap = _overlap(masks)
    wanted = edition.profile.segmentation is SegmentationType.LABELMAP
    is_label_map = wanted and not overlap and len(masks) <= MOST_LABELS
    result: Dataset = hd.seg.Segmentation(
        source_images=stand_ins(edition.origin),
        pixel_array=_occupied(masks).max(axis=-1) if is_label_map else _occupied(masks),
        segmentation_type=SEGMENTATION_TYPES[is_label_map],
        segment_descriptions=[_description(number, one, edition) for number, one in enumerate(present, 1)],
        series_instance_uid=edition.run.series_uid(RenditionKind.SEG),
        series_number=edition.series_number(RenditionKind.SEG),
        sop_instance_uid=edition.run.instance_uid(RenditionKind.SEG),
        instance_number=1,
        manufacturer=NODE.manufacturer,
        manufacturer_model_name=NODE.model_name,
        software_versions=NODE.version,
        device_serial_number=NODE.device_uid,
        content_label="AI_SEGMENTATION",
        content_description=edition.series_description(RenditionKind.SEG),
        series_description=edition.series_description(RenditionKind.SEG),
    )
    result.Rows, result.Columns = edition.origin.grid.rows, edition.origin.grid.columns
    if is_label_map:
        result.PixelData = _labels(result, masks)
    else:
        result.PixelData = _bits(result, masks)
        result.SegmentsOverlap = "YES" if overlap else "NO"
    refer_to_source(result, edition.origin)
    result.ContentCreatorName = None
    name_dimensions(result, edition.run.dimensions_uid())
    stamp(result, edition, body_part=True)
    return result


def mask_of(findings: Findings, segment: SegmentCard) -> Mask:
    """The mask of a segment. Raises ResultUnsound where the findings have none."""
    found = findings.segment(segment.key)
    if found is None:
        raise ResultUnsound(f"segment {segment.key!r} is not among the findings")
    return found.mask


def _occupied(masks: list[Mask]) -> npt.NDArray[np.uint8]:
    """Which slices each segment reaches, as masks of one pixel: (slices, 1, 1, segments)."""
    reached = np.stack([mask.any(axis=(1, 2)) for mask in masks], axis=-1)
    return reached[:, np.newaxis, np.newaxis, :].astype(np.uint8)


def _overlap(masks: list[Mask]) -> bool:
    union = np.zeros_like(masks[0])
    for mask in masks:
        if np.any(union & mask):
            return True
        union |= mask
    return False


def label_plane(masks: list[Mask], index: int) -> npt.NDArray[np.uint8]:
    """One slice of disjoint masks as a label map: 0 where there is none, else the number of the segment."""
    plane = np.zeros(masks[0].shape[1:], np.uint8)
    for number, mask in enumerate(masks, 1):
        plane[mask[index]] = number
    return plane


def _labels(result: Dataset, masks: list[Mask]) -> bytes:
    frames = [label_plane(masks, stand_in_index(item)) for item in result.PerFrameFunctionalGroupsSequence]
    pixels = b"".join(frame.tobytes() for frame in frames)
    return pixels + b"\0" * (len(pixels) % 2)


def _bits(result: Dataset, masks: list[Mask]) -> bytes:
    """The masks, slice by slice in the order of the frames, as one-bit pixels without padding (PS3.5 8.1.1).

    Eight frames at a time, because they fill whole bytes whatever their size.
    """
    frames = [
        masks[_segment_number(item, result) - 1][stand_in_index(item)]
        for item in result.PerFrameFunctionalGroupsSequence
    ]
    packed = [np.packbits(np.stack(frames[at : at + 8]), bitorder="little") for at in range(0, len(frames), 8)]
    pixels = b"".join(part.tobytes() for part in packed)
    return pixels + b"\0" * (len(pixels) % 2)


def _segment_number(item: Dataset, result: Dataset) -> int:
    """Of a frame, or of all frames where there is one segment only."""
    holder = item if "SegmentIdentificationSequence" in item else result.SharedFunctionalGroupsSequence[0]
    return int(holder.SegmentIdentificationSequence[0].ReferencedSegmentNumber)


def _description(number: int, segment: SegmentCard, edition: Edition) -> hd.seg.SegmentDescription:
    described = hd.seg.SegmentDescription(
        segment_number=number,
        segment_label=segment.label,
        segmented_property_category=concept(segment.category),
        segmented_property_type=concept(segment.type),
        algorithm_type=hd.seg.SegmentAlgorithmTypeValues.AUTOMATIC,
        algorithm_identification=edition.algorithm.for_segments(),
        tracking_uid=edition.run.tracking_uid(segment.key),
        tracking_id=segment.key,
        anatomic_regions=[concept(segment.site)],
        display_color=hd.color.CIELabColor.from_rgb(*segment.colour_rgb),
    )
    if segment.modifier:
        modified = described.SegmentedPropertyTypeCodeSequence[0]
        modified.SegmentedPropertyTypeModifierCodeSequence = [concept(segment.modifier)]
    if segment.laterality:
        described.AnatomicRegionSequence[0].AnatomicRegionModifierSequence = [concept(segment.laterality)]
    return described
