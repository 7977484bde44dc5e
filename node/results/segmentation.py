"""The Segmentation (PS3.3 A.51): a segment for each region that was found, on the source's own grid."""

from io import BytesIO

import highdicom as hd
import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset

from ai.contract import SegmentCard
from ai.findings import Findings, Mask
from ai.masks import voxels_by_slice
from node.errors import ResultUnsound
from node.results.coding import concept
from node.results.equipment import NODE
from node.results.frames import Areas, put_frames
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
    areas = np.stack([voxels_by_slice(mask) for mask in masks])
    overlap = _overlap(masks, areas)
    wanted = edition.profile.segmentation is SegmentationType.LABELMAP
    is_label_map = wanted and not overlap and len(masks) <= MOST_LABELS
    result: Dataset = hd.seg.Segmentation(
        source_images=stand_ins(edition.origin),
        pixel_array=_reached(areas).max(axis=-1) if is_label_map else _reached(areas),
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
        content_label=edition.content_label("SEGMENTATION"),
        content_description=edition.series_description(RenditionKind.SEG),
        series_description=edition.series_description(RenditionKind.SEG),
    )
    result.Rows, result.Columns = edition.origin.grid.rows, edition.origin.grid.columns
    slices = _in_order(result)
    refer_to_source(result, edition.origin)
    result.ContentCreatorName = None
    name_dimensions(result, edition.run.dimensions_uid())
    stamp(result, edition, RenditionKind.SEG, body_part=True)
    if is_label_map:
        result.PixelData = _labels(masks, areas, [index for index, _ in slices])
    else:
        result.SegmentsOverlap = "YES" if overlap else "NO"
        put_frames(result, slices, masks, areas)
    return result


def mask_of(findings: Findings, segment: SegmentCard) -> Mask:
    """The mask of a segment. Raises ResultUnsound where the findings have none."""
    found = findings.segment(segment.key)
    if found is None:
        raise ResultUnsound(f"segment {segment.key!r} is not among the findings")
    return found.mask


def _reached(areas: Areas) -> npt.NDArray[np.uint8]:
    """Masks of one pixel (slices, 1, 1, segments): of each slice the first segment that reaches it, where any does.

    From them the library makes one frame a slice, with which every other frame of the slice agrees but for its segment.
    """
    reached = areas > 0
    first = reached & (np.cumsum(reached, axis=0) == 1)
    shown: npt.NDArray[np.uint8] = first.T[:, np.newaxis, np.newaxis, :].astype(np.uint8)
    return shown


def _in_order(result: Dataset) -> list[tuple[int, Dataset]]:
    """Slice and functional groups of each frame that the library made, in the order that it gave to the slices."""
    items = [(stand_in_index(item), item) for item in result.PerFrameFunctionalGroupsSequence]
    return sorted(items, key=lambda one: int(np.ravel(one[1].FrameContentSequence[0].DimensionIndexValues)[-1]))


def _overlap(masks: list[Mask], areas: Areas) -> bool:
    """Whether there is a slice on which the segments cover less together than one by one."""
    for index in np.flatnonzero(np.count_nonzero(areas, axis=0) > 1):
        union = np.zeros(masks[0].shape[1:], np.bool_)
        for mask in (mask for mask, area in zip(masks, areas, strict=True) if area[index]):
            union |= mask[index]
        if np.count_nonzero(union) < areas[:, index].sum():
            return True
    return False


def _labels(masks: list[Mask], areas: Areas, indices: list[int]) -> BytesIO:
    """Slices of disjoint masks as label maps: 0 where there is none, else the number of the segment."""
    pixels = BytesIO()
    for index in indices:
        plane = np.zeros(masks[0].shape[1:], np.uint8)
        for number in np.flatnonzero(areas[:, index]):
            np.putmask(plane, masks[number][index], number + 1)
        pixels.write(plane.data)
    pixels.write(b"\0" * (pixels.tell() % 2))
    pixels.seek(0)
    return pixels


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
