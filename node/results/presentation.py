"""The presentation state (PS3.3 A.33.1): detections, and outlines of segments, over the source's own images."""

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import highdicom as hd
import numpy as np
from pydicom.dataset import Dataset
from pydicom.uid import CTImageStorage
from pydicom.valuerep import format_number_as_ds

from ai.findings import Findings, Mask
from ai.masks import voxels_by_slice
from ai.volume import Volume
from node.errors import ResultUnsound
from node.results.checks import expect
from node.results.contours import lines_of
from node.results.drawings import Drawing, drawings_of
from node.results.drawn import beside
from node.results.equipment import NODE
from node.results.evidence import identified
from node.results.origin import Origin, SourceFrame
from node.results.outlined import Outlined
from node.results.segmentation import mask_of
from node.results.stamp import Edition, stamp
from node.results.uids import RenditionKind
from node.results.wording import present_segments

MODALITY_LUT = ("RescaleSlope", "RescaleIntercept", "RescaleType", "ModalityLUTSequence")
VOI_LUT = ("WindowCenter", "WindowWidth", "WindowCenterWidthExplanation", "VOILUTFunction", "VOILUTSequence")
GREY_GROUPS = ("PixelValueTransformationSequence", "FrameVOILUTSequence")
"""Functional groups that hold these attributes in multi-frame images."""

GRAPHIC_TOLERANCE_PX = 0.001
TYPES = {True: hd.pr.GraphicTypeValues.POINT, False: hd.pr.GraphicTypeValues.POLYLINE}


def build_presentations(findings: Findings, edition: Edition, _volume: Volume) -> Iterator[tuple[str, Dataset]]:
    """A presentation state for the images of each rescale, named; none where nothing is drawn.

    It states how stored values become grey, once for all its images (PS3.3 C.11.1): those that differ need their own.
    """
    drawings = list(drawings_of(findings, edition.card, segments=_are_segments_drawn(edition)))
    drawn = sorted({one.slice_index for drawing in drawings for one in drawing.outlined})
    frames = edition.origin.frames
    headers = {uid: edition.origin.read(uid) for uid in {frames[index].sop_instance_uid for index in drawn}}
    greys = {index: _grey(headers[frames[index].sop_instance_uid], frames[index]) for index in drawn}
    parts: dict[str, list[int]] = {}
    for index, grey in greys.items():
        parts.setdefault(repr([grey.get(name) for name in MODALITY_LUT]), []).append(index)
    for number, indices in enumerate(parts.values(), 1):
        yield f"gsps-{number:04}", _build(number, indices, drawings, greys[indices[0]], edition)


def _are_segments_drawn(edition: Edition) -> bool:
    return edition.origin.is_flat or edition.profile.outlines


def _grey(header: Dataset, frame: SourceFrame) -> Dataset:
    """How a frame's stored values become grey, whether it states that itself or in functional groups."""
    found, places = Dataset(), [header]
    if frame.frame_number is not None:
        own = header.PerFrameFunctionalGroupsSequence[frame.frame_number - 1]
        shared = next(iter(header.get("SharedFunctionalGroupsSequence") or []), Dataset())
        places += [group[name][0] for group in (shared, own) for name in GREY_GROUPS if group.get(name)]
    for place in places:
        for keyword in (*MODALITY_LUT, *VOI_LUT, "PhotometricInterpretation", "SamplesPerPixel"):
            if place.get(keyword) is not None:
                found[keyword] = place[keyword]
    return found


def _build(number: int, indices: list[int], drawings: list[Drawing], grey: Dataset, edition: Edition) -> Dataset:
    origin, kind = edition.origin, RenditionKind.GSPS
    images = {index: _stand_in(origin.frames[index], grey, origin) for index in indices}
    layers = _layers(drawings)
    annotations = [
        annotation
        for drawing in drawings
        for index in indices
        for annotation in _annotations(drawing, index, images[index], layers[drawing.label].GraphicLayer, edition)
    ]
    is_inverse = grey.get("PhotometricInterpretation") == "MONOCHROME1"
    shapes = hd.PresentationLUTShapeValues
    result: Dataset = hd.pr.GrayscaleSoftcopyPresentationState(
        referenced_images=list({image.SOPInstanceUID: image for image in images.values()}.values()),
        series_instance_uid=edition.run.series_uid(kind),
        series_number=edition.series_number(kind),
        sop_instance_uid=edition.run.instance_uid(kind, number),
        instance_number=number,
        manufacturer=NODE.manufacturer,
        manufacturer_model_name=NODE.model_name,
        software_versions=NODE.version,
        device_serial_number=NODE.device_uid,
        content_label=edition.content_label("FINDINGS"),
        content_description=edition.series_description(kind),
        graphic_layers=list(layers.values()),
        presentation_lut_transformation=hd.PresentationLUTTransformation(
            presentation_lut_shape=shapes.INVERSE if is_inverse else shapes.IDENTITY
        ),
        series_description=edition.series_description(kind),
    )
    listed = result.ReferencedSeriesSequence[0].ReferencedImageSequence
    for item in listed:
        numbers = [
            number
            for uid, number in (origin.frames[index].name for index in indices)
            if number is not None and uid == item.ReferencedSOPInstanceUID
        ]
        if numbers:
            item.ReferencedFrameNumber = numbers
    for item in listed:
        item.ReferencedSOPClassUID = origin.instances[item.ReferencedSOPInstanceUID]
    result.GraphicAnnotationSequence = annotations
    stamp(result, edition, kind, body_part=True)
    result.PresentationCreationDate, result.PresentationCreationTime = result.SeriesDate, result.SeriesTime
    result.ContentCreatorName = None
    area = result.DisplayedAreaSelectionSequence[0]
    row_mm, column_mm = origin.frames[0].pixel_spacing_mm
    if row_mm != column_mm:
        del area.PresentationPixelAspectRatio
        area.PresentationPixelSpacing = [format_number_as_ds(row_mm), format_number_as_ds(column_mm)]
    return result


def _stand_in(frame: SourceFrame, grey: Dataset, origin: Origin) -> Dataset:
    """As much of the image as a presentation state of it is made from, all of it plain attributes of one frame."""
    image = identified(origin, frame.sop_instance_uid, CTImageStorage)
    image.update(grey)
    image.Rows, image.Columns = origin.grid.rows, origin.grid.columns
    return image


def _layers(drawings: Sequence[Drawing]) -> dict[str, hd.pr.GraphicLayer]:
    """One for each kind of finding, by its label: colours belong to layers."""
    colours = {drawing.label: drawing.colour for drawing in drawings}
    return {
        label: hd.pr.GraphicLayer(
            f"AI_{number}", number, description=label[:64], display_color=hd.color.CIELabColor.from_rgb(*colour)
        )
        for number, (label, colour) in enumerate(colours.items(), 1)
    }


def _annotations(drawing: Drawing, index: int, image: Dataset, layer: str, edition: Edition) -> Iterator[Dataset]:
    """Made by hand: the library looks through the whole standard for each, whether its image is one."""
    lines = [one.points for one in drawing.outlined if one.slice_index == index]
    if not lines:
        return
    units = hd.pr.AnnotationUnitsValues.PIXEL
    name, uid = drawing.tracking_key.replace("/", " "), edition.run.tracking_uid(drawing.tracking_key)
    corner = (float(lines[0][:, 0].max()), float(lines[0][:, 1].min()))
    words = [hd.pr.TextObject(drawing.words or " ", units, anchor_point=corner, anchor_point_visible=False)]
    annotation, reference = Dataset(), Dataset()
    reference.ReferencedSOPClassUID = edition.origin.instances[image.SOPInstanceUID]
    reference.ReferencedSOPInstanceUID = image.SOPInstanceUID
    number = edition.origin.frames[index].frame_number
    if number is not None:
        reference.ReferencedFrameNumber = number
    annotation.GraphicLayer = layer
    annotation.ReferencedImageSequence = [reference]
    annotation.GraphicObjectSequence = [
        hd.pr.GraphicObject(TYPES[len(points) == 1], points, units, tracking_id=name, tracking_uid=uid)
        for points in lines
    ]
    if drawing.words:
        annotation.TextObjectSequence = words
    yield annotation


def check_presentation(path: Path, found: Dataset, findings: Findings, edition: Edition, _volume: Volume) -> None:
    """On the images that it lists, it draws every finding once and nothing else; outlines lie at their masks."""
    origin = edition.origin
    drawn: dict[str, list[Outlined]] = {}
    for annotation in found.GraphicAnnotationSequence:
        index = origin.index_of(annotation.ReferencedImageSequence[0])
        if index is None:
            raise ResultUnsound(f"{path.name}: it draws on an image that is not of the source")
        for graphic in annotation.GraphicObjectSequence:
            points = np.array(graphic.GraphicData, np.float64).reshape(-1, 2)
            drawn.setdefault(graphic.TrackingUID, []).append(Outlined(index, points))
    listed = _listed(found, origin)
    for drawing in drawings_of(findings, edition.card, segments=False):
        same = drawn.get(edition.run.tracking_uid(drawing.tracking_key), [])
        for line in (one for one in drawing.outlined if one.slice_index in listed):
            place = next((place for place, one in enumerate(same) if _is_same(one, line)), None)
            if place is None:
                raise ResultUnsound(f"{path.name}: {drawing.tracking_key} is not drawn where it was found")
            del same[place]
    if _are_segments_drawn(edition):
        for segment in present_segments(findings, edition.card):
            lines = drawn.pop(edition.run.tracking_uid(segment.key), [])
            _check_segment(path, lines, mask_of(findings, segment), listed, segment.key)
    expect(path, "lines that no finding has", sum(map(len, drawn.values())), 0)


def _listed(found: Dataset, origin: Origin) -> set[int]:
    """The slices that a state is of."""
    names = {
        (item.ReferencedSOPInstanceUID, number)
        for item in found.ReferencedSeriesSequence[0].ReferencedImageSequence
        for number in np.ravel(item.get("ReferencedFrameNumber") or [None]).tolist()
    }
    return {index for index, frame in enumerate(origin.frames) if frame.name in names}


def _is_same(one: Outlined, other: Outlined) -> bool:
    return (
        one.slice_index == other.slice_index
        and one.points.shape == other.points.shape
        and bool(np.abs(one.points - other.points).max() < GRAPHIC_TOLERANCE_PX)
    )


def _check_segment(path: Path, drawn: list[Outlined], mask: Mask, listed: set[int], key: str) -> None:
    """As many lines on each slice as the mask has there, each at its rim."""
    counts = Counter(line.slice_index for line in drawn)
    for index in listed.intersection(np.flatnonzero(voxels_by_slice(mask)).tolist()).union(counts):
        expect(path, f"lines of {key} on slice {index + 1}", counts[index], len(lines_of(mask[index])))
    for line in drawn:
        if not beside(mask[line.slice_index], line.points).all():
            raise ResultUnsound(f"{path.name}: an outline on slice {line.slice_index + 1} is not where its segment is")
