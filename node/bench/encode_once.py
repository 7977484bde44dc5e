"""One encoding in a process of its own, warm as a worker is: masks or numbers are made, then timed; prints JSON."""

import colorsys
import json
import resource
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

from ai.contract import Code, InputCard, MeasurementCard, ModelCard, SegmentCard
from ai.findings import Findings, Measurement, Segment
from ai.masks import mask_from
from node.core.identity import InstanceUID, SeriesUID, StudyUID, derived_uid
from node.core.study import SourceGrid
from node.results.checks import check_common, read_back
from node.results.origin import Origin, read_origin
from node.results.preload import load_tables
from node.results.profile import Profile, SegmentationType
from node.results.report import build_report
from node.results.report_check import check_report
from node.results.segmentation import build_segmentation
from node.results.segmentation_check import check_segmentation
from node.results.stamp import Edition
from node.results.uids import RunIdentity

SCAN = (300, 512, 512)
SPACING_MM = (1.0, 0.7, 0.7)
MEASUREMENTS = 60
STUDY, SERIES = StudyUID(derived_uid("bench", "study")), SeriesUID(derived_uid("bench", "series"))
LUNG = Code("39607008", "SCT", "Lung")


def make_source(folder: Path) -> None:
    """A CT series of the scan's size; its pixels are all alike."""
    folder.mkdir()
    pixels = bytes(2 * SCAN[1] * SCAN[2])
    for index in range(SCAN[0]):
        header = _header(index)
        header.PixelData = pixels
        header.save_as(folder / f"{index:04}.dcm", enforce_file_format=True)


def make_labels(count: int) -> npt.NDArray[np.uint8]:
    """Numbers from 1 to `count` in sectors of a round body with wavy edges, on a third of all voxels; else 0.

    Of many segments each reaches through a fifth of the slices, as organs do: the body lies in so many layers.
    """
    layers = max(1, count // 20)
    sectors = -(-count // layers)
    row, column = np.meshgrid(np.linspace(-1, 1, SCAN[1]), np.linspace(-1, 1, SCAN[2]), indexing="ij")
    angle, radius = np.arctan2(row, column), np.hypot(row, column)
    labels = np.zeros(SCAN, np.uint8)
    for index in range(SCAN[0]):
        edge = 0.65 + 0.02 * np.sin(9 * angle + index / 7)
        turned = (angle + np.pi) / (2 * np.pi) + 0.02 * np.sin(12 * radius + index / 11)
        number = index * layers // SCAN[0] * sectors + np.floor(turned % 1 * sectors) + 1
        labels[index] = np.where(radius < edge, np.minimum(number, count), 0)
    return labels


def card_of(count: int) -> ModelCard:
    """A model with that many segments, and with measurements where it has none."""
    region = Code("91723000", "SCT", "Anatomical Structure")
    colours = [colorsys.hsv_to_rgb(number / max(count, 1), 0.7, 0.9) for number in range(count)]
    return ModelCard(
        name="bench",
        version="1",
        vendor="Isocenter",
        title="Bench",
        intended_use="",
        not_validated_for=(),
        licence="Apache-2.0",
        memory_mb=1,
        timeout_s=1,
        inputs=(InputCard("ct", ("CT",), (), 1, None, None, None, None),),
        reference="ct",
        segments=tuple(
            SegmentCard(
                f"part-{number}",
                f"Part {number}",
                region,
                LUNG,
                None,
                LUNG,
                None,
                (round(255 * red), round(255 * green), round(255 * blue)),
            )
            for number, (red, green, blue) in enumerate(colours, 1)
        ),
        measurements=tuple(
            MeasurementCard(
                f"number-{number}",
                f"Number {number}",
                Code(f"N{number}", "99ISOCENTER", f"Number {number}"),
                Code("1", "UCUM", "no units"),
                1,
                None,
                None,
            )
            for number in range(1, MEASUREMENTS + 1)
        ),
        digest="00" * 32,
    )


def time_segmentation(source: Path, labels: Path, out: Path, count: int, form: str) -> dict[str, float]:
    """Seconds from masks in memory to a checked file, and from source and label map on disk to the same."""
    begin = time.monotonic()
    origin, label_map, card = _origin(source), np.load(labels), card_of(count)
    segments = [
        Segment(one.key, mask_from((plane == number for plane in label_map), label_map.shape), "ct")
        for number, one in enumerate(card.segments, 1)
    ]
    findings = Findings(segments=tuple(segments))
    del label_map
    start = time.monotonic()
    edition = _edition(origin, card, Profile(segmentation=SegmentationType(form)))
    segmentation = build_segmentation(findings, edition)
    assert segmentation is not None  # noqa: S101  every label is somewhere
    path = out / "seg.dcm"
    segmentation.save_as(path, enforce_file_format=True)
    found = read_back(path, segmentation)
    check_common(path, found, edition, [*origin.instances, found.SOPInstanceUID])
    check_segmentation(path, found, findings, edition)
    end = time.monotonic()
    return {"seconds": end - start, "whole_seconds": end - begin}


def time_report(source: Path, out: Path) -> dict[str, float]:
    """Seconds from the numbers to a checked file."""
    origin, card = _origin(source), card_of(0)
    findings = Findings(measurements=tuple(Measurement(one.key, 12.5) for one in card.measurements))
    start = time.monotonic()
    edition = _edition(origin, card, Profile())
    report = build_report(findings, edition, None)
    path = out / "sr.dcm"
    report.save_as(path, enforce_file_format=True)
    check_report(path, read_back(path, report), findings, edition)
    return {"seconds": time.monotonic() - start}


def _edition(origin: Origin, card: ModelCard, profile: Profile) -> Edition:
    run = RunIdentity(derived_uid("bench", "job"), 1, datetime(2026, 1, 1, tzinfo=UTC))
    return Edition(origin, card, run, "", as_unicode=False, profile=profile)


def _origin(source: Path) -> Origin:
    paths = {InstanceUID(derived_uid("bench", str(index))): source / f"{index:04}.dcm" for index in range(SCAN[0])}
    affine = ((0.0, 0.0, SPACING_MM[2], 0.0), (0.0, SPACING_MM[1], 0.0, 0.0), (SPACING_MM[0], 0.0, 0.0, 0.0))
    frames = tuple((uid, 1) for uid in paths)
    frame_of_reference = derived_uid("bench", "frame of reference")
    grid = SourceGrid(STUDY, SERIES, frames, *SCAN[1:], (*affine, (0.0, 0.0, 0.0, 1.0)), frame_of_reference)
    return read_origin(grid, paths)


def _header(index: int) -> Dataset:
    header = Dataset()
    header.file_meta = FileMetaDataset()
    header.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    header.SOPClassUID, header.SOPInstanceUID = CTImageStorage, derived_uid("bench", str(index))
    header.StudyInstanceUID, header.SeriesInstanceUID = STUDY, SERIES
    header.FrameOfReferenceUID = derived_uid("bench", "frame of reference")
    header.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    header.PatientName, header.PatientID, header.PatientBirthDate, header.PatientSex = "Bench", "B1", "", ""
    header.StudyDate, header.StudyTime, header.StudyID, header.AccessionNumber = "20260101", "120000", "1", ""
    header.ReferringPhysicianName = ""
    header.Modality, header.SeriesNumber, header.InstanceNumber = "CT", 1, index + 1
    header.ImagePositionPatient, header.ImageOrientationPatient = [0, 0, index * SPACING_MM[0]], [1, 0, 0, 0, 1, 0]
    header.PixelSpacing, header.SliceThickness = list(SPACING_MM[1:]), SPACING_MM[0]
    header.Rows, header.Columns, header.SamplesPerPixel = *SCAN[1:], 1
    header.PhotometricInterpretation, header.PixelRepresentation = "MONOCHROME2", 1
    header.BitsAllocated = header.BitsStored = 16
    header.HighBit, header.RescaleSlope, header.RescaleIntercept = 15, 1, 0
    return header


def main(source: str, out: str, count: str, labels: str = "", form: str = "") -> None:
    """count: of segments; of 0 a report is made instead."""
    load_tables()
    if int(count):
        took = time_segmentation(Path(source), Path(labels), Path(out), int(count), form)
    else:
        took = time_report(Path(source), Path(out))
    (written,) = Path(out).iterdir()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    told = {**took, "peak_mb": peak, "file_mb": written.stat().st_size / 1e6}
    sys.stdout.write(json.dumps(told) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
