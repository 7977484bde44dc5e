"""The summary as Secondary Capture images in colour: what every viewer can show."""

from collections.abc import Iterator

import highdicom as hd
import numpy as np
from PIL import Image
from pydicom.dataset import Dataset

from ai.findings import Findings
from ai.volume import Volume
from node.results.keyslices import key_slices
from node.results.map_pages import draw_map_pages
from node.results.origin import Origin, SourceFrame
from node.results.pages import draw_closing_pages, draw_number_pages, draw_slice_page, sides_of
from node.results.pictures import Window, toward, window_for
from node.results.stamp import Edition, stamp
from node.results.uids import RenditionKind


def build_summary(findings: Findings, edition: Edition, volume: Volume) -> Iterator[tuple[Dataset, Image.Image]]:
    """The pages in reading order, each with the picture it holds; made one at a time."""
    number = 0
    for page in draw_number_pages(findings, edition):
        number += 1
        yield build_page(page, number, edition, None), page
    window = window_for(volume, edition.card, declared_window(edition.origin))
    for index in _reading_order(key_slices(findings, len(edition.origin.frames)), edition.origin):
        number += 1
        page = draw_slice_page(index, volume, findings, edition, window)
        yield build_page(page, number, edition, edition.origin.frames[index]), page
    for index, page in draw_map_pages(findings, edition, volume, window):
        number += 1
        yield build_page(page, number, edition, edition.origin.frames[index]), page
    for page in draw_closing_pages(edition):
        number += 1
        yield build_page(page, number, edition, None), page


def _reading_order(indices: tuple[int, ...], origin: Origin) -> list[int]:
    """From head to feet, from front to back, from right to left."""
    if origin.is_flat:
        return list(indices)
    first, last = (np.array(frame.position_lps_mm) for frame in (origin.frames[0], origin.frames[-1]))
    return list(indices) if toward(last - first) in "LPF" else list(reversed(indices))


def declared_window(origin: Origin) -> Window | None:
    """The first window the source's header declares, in the values after rescale."""
    values = [origin.header.get(keyword) for keyword in ("WindowCenter", "WindowWidth")]
    try:
        centre, width = (float(np.ravel(value)[0]) for value in values)
    except (IndexError, TypeError, ValueError):
        return None
    return Window(centre, width) if width > 0 else None


def build_page(
    page: Image.Image,
    number: int,
    edition: Edition,
    shown: SourceFrame | None,
    kind: RenditionKind = RenditionKind.SUMMARY,
) -> Dataset:
    """One page. It has no place in the patient of its own: drawn text would be measured and sliced with the image."""
    image: Dataset = hd.sc.SCImage(
        pixel_array=np.asarray(page),
        photometric_interpretation=hd.PhotometricInterpretationValues.RGB,
        bits_allocated=8,
        coordinate_system=hd.CoordinateSystemNames.PATIENT,
        study_instance_uid=edition.origin.grid.study_uid,
        series_instance_uid=edition.run.series_uid(kind),
        series_number=edition.series_number(kind),
        sop_instance_uid=edition.run.instance_uid(kind, number),
        instance_number=number,
        manufacturer=edition.card.vendor,
        patient_orientation=("L", "P"),
        series_description=edition.series_description(kind),
        patient_birth_date="",
    )
    stamp(image, edition, kind, body_part=True)
    image.DateOfSecondaryCapture, image.TimeOfSecondaryCapture = image.ContentDate, image.ContentTime
    image.BurnedInAnnotation = "YES"
    image.PatientOrientation = [] if shown is None else sides_of(shown, edition.origin)
    if shown is not None:
        image.SourceImageSequence = [_reference(shown)]
    return image


def _reference(frame: SourceFrame) -> Dataset:
    reference = Dataset()
    reference.ReferencedSOPClassUID = frame.sop_class_uid
    reference.ReferencedSOPInstanceUID = frame.sop_instance_uid
    if frame.frame_number is not None:
        reference.ReferencedFrameNumber = frame.frame_number
    return reference
