"""Small sources and findings, made on the spot, for the tests of result objects."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import highdicom as hd
import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.tag import Tag
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

from ai.contract import ClassificationCard, Code, DetectionCard, InputCard, MeasurementCard, ModelCard, SegmentCard
from ai.findings import Classification, Detection, Findings, Measurement, Segment, Shape
from ai.volume import Facts, Volume
from node.core.identity import InstanceUID, SeriesUID, StudyUID
from node.core.study import SourceGrid
from node.results.encode import RunIdentity, encode

STUDY, SERIES, FRAME_OF_REFERENCE = "2.25.1", "2.25.2", "2.25.3"
RUN = RunIdentity("4a7f4d3e-6f0e-4c9e-9d67-0a1b2c3d4e5f", 1, datetime(2024, 5, 6, 22, 30, 15, tzinfo=UTC))

AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
SAGITTAL = (0.0, 1.0, 0.0, 0.0, 0.0, -1.0)
OBLIQUE = (0.8, 0.6, 0.0, 0.0, 0.0, -1.0)


def sct(value: str, meaning: str) -> Code:
    return Code(value, "SCT", meaning)


LUNG, RIGHT, LEFT = sct("39607008", "Lung"), sct("24028007", "Right"), sct("7771000", "Left")
ANATOMY = sct("91723000", "Anatomical Structure")
HU = Code("[hnsf'U]", "UCUM", "Hounsfield unit")
PERCENT = Code("%", "UCUM", "Percent")
ML = Code("mL", "UCUM", "milliliter")
LAA = Code("LAA950", "99ISOCENTER", "Percentage of lung voxels below -950 HU")

CARD = ModelCard(
    name="lung-ct",
    version="1.2.0",
    vendor="Isocenter",
    title="Lungs and emphysema on chest CT",
    intended_use="Measures the lungs on chest CT for research.",
    not_validated_for=("children", "patients after lung surgery"),
    licence="Apache-2.0",
    memory_mb=1000,
    timeout_s=300,
    inputs=(InputCard("ct", ("CT",), ("axial",), 8, None, None, None, None),),
    reference="ct",
    segments=(
        SegmentCard("right-lung", "Right lung", ANATOMY, LUNG, RIGHT, LUNG, RIGHT, (86, 180, 233)),
        SegmentCard("left-lung", "Left lung", ANATOMY, LUNG, LEFT, LUNG, LEFT, (230, 159, 0)),
        SegmentCard(
            "low-attenuation",
            "Low-attenuation area",
            sct("49755003", "Morphologically Abnormal Structure"),
            Code("LAA", "99ISOCENTER", "Low-attenuation area of lung"),
            None,
            LUNG,
            None,
            (213, 94, 0),
        ),
    ),
    measurements=(
        MeasurementCard("volume", "Volume", sct("118565006", "Volume"), ML, 0, None, None),
        MeasurementCard(
            "mean-attenuation",
            "Mean attenuation",
            Code("112031", "DCM", "Attenuation Coefficient"),
            HU,
            1,
            sct("373098007", "Mean"),
            None,
        ),
        MeasurementCard("laa-950", "Low-attenuation area below -950 HU", LAA, PERCENT, 1, None, None),
    ),
    digest="ab" * 32,
)


NODULE = sct("27925004", "Nodule")
FINDING_CARD = replace(
    CARD,
    classifications=(
        ClassificationCard(
            "effusion", "Pleural effusion", sct("60046008", "Pleural Effusion"), LUNG, LEFT, 0.4,
            sct("386134007", "Significant"),
        ),
        ClassificationCard("oedema", "Oedema", sct("19242006", "Pulmonary Edema"), LUNG, None, 0.5, None),
    ),
    detections=(DetectionCard("nodule", "Nodule", NODULE, LUNG, None, 0.3),),
)  # fmt: skip
"""Of a model that classifies and detects besides."""

ASSERTED = (Classification("effusion", 0.83256), Classification("oedema", 0.04))
DETECTED = (
    Detection("nodule", Shape.BOX, np.array([[3.0, 10.0, 8.0], [5.0, 14.0, 13.0]]), "ct", 0.91234),
    Detection("nodule", Shape.POINT, np.array([[6.0, 20.0, 25.0]]), "ct"),
    Detection("nodule", Shape.CONTOUR, np.array([[7.0, 5.0, 5.0], [7.0, 5.0, 9.5], [7.0, 9.0, 7.0]]), "ct", 0.4),
)


@dataclass(frozen=True)
class Made:
    """A source on disk, its grid and its voxels."""

    grid: SourceGrid
    paths: Mapping[InstanceUID, Path]
    volume: Volume


def make_series(
    folder: Path,
    *,
    slices: int = 12,
    rows: int = 40,
    columns: int = 36,
    spacing_mm: tuple[float, float, float] = (5.0, 2.0, 1.5),
    orientation: tuple[float, ...] = AXIAL,
    frames_of_reference: bool = True,
    changes: Mapping[str, object] | None = None,
) -> Made:
    """A CT series whose file names, instance numbers and positions run in three different orders.

    frames_of_reference: False puts another one on every slice. changes: attributes to set, or to leave out (None).
    """
    folder.mkdir(parents=True, exist_ok=True)
    row_way, column_way = np.array(orientation[:3]), np.array(orientation[3:])
    affine = np.eye(4)
    affine[:3, 0] = np.cross(row_way, column_way) * spacing_mm[0]
    affine[:3, 1] = column_way * spacing_mm[1]
    affine[:3, 2] = row_way * spacing_mm[2]
    affine[:3, 3] = (-30.5, 12.25, -100.0)
    array = made_chest(slices, rows, columns)
    paths: dict[InstanceUID, Path] = {}
    for index in np.random.default_rng(1).permutation(slices):
        header = header_of(int(index), array[index], affine, orientation, spacing_mm, slices)
        if not frames_of_reference:
            header.FrameOfReferenceUID = f"{FRAME_OF_REFERENCE}.{index + 1}"
        for keyword, value in (changes or {}).items():
            if value is None:
                del header[keyword]
            else:
                setattr(header, keyword, value)
        path = folder / f"{len(paths):04}.dcm"
        header.save_as(path, enforce_file_format=True)
        paths[InstanceUID(header.SOPInstanceUID)] = path
    grid = SourceGrid(
        study_uid=StudyUID(STUDY),
        series_uid=SeriesUID(SERIES),
        frames=tuple((InstanceUID(f"2.25.100.{index + 1}"), 1) for index in range(slices)),
        rows=rows,
        columns=columns,
        affine_lps=tuple(tuple(float(value) for value in row) for row in affine),
        frame_of_reference_uid=FRAME_OF_REFERENCE,
    )
    return Made(grid, paths, Volume(array, affine, spacing_mm, Facts(modality="CT", body_part="CHEST")))


def make_enhanced(folder: Path, **options: object) -> Made:
    """The same series as one multi-frame object whose frames run against the grid."""
    single = make_series(folder / "single", **options)  # type: ignore[arg-type]
    datasets = [pydicom.dcmread(path) for path in single.paths.values()]
    datasets.sort(key=lambda one: -int(one.SOPInstanceUID.rpartition(".")[2]))
    enhanced = hd.legacy.LegacyConvertedEnhancedCTImage(datasets, SERIES, 4, "2.25.900", 1)
    numbers = [
        item.ConversionSourceAttributesSequence[0].ReferencedSOPInstanceUID
        for item in enhanced.PerFrameFunctionalGroupsSequence
    ]
    path = folder / "enhanced.dcm"
    enhanced.save_as(path, enforce_file_format=True)
    frames = tuple((InstanceUID("2.25.900"), numbers.index(uid) + 1) for uid, _ in single.grid.frames)
    return Made(replace(single.grid, frames=frames), {InstanceUID("2.25.900"): path}, single.volume)


def make_findings(made: Made, *, without: tuple[str, ...] = ()) -> Findings:
    """Two lungs and the dark part of one, overlapping it; `without` are empty."""
    array = made.volume.array
    half = array.shape[2] // 2
    lung = (array < -500) & (array > -1000)
    right, left = lung.copy(), lung.copy()
    right[:, :, half:] = False
    left[:, :, :half] = False
    masks = {"right-lung": right, "left-lung": left, "low-attenuation": lung & (array < -950)}
    for key in without:
        masks[key] = np.zeros_like(lung)
    voxel_ml = made.volume.voxel_ml
    measurements = [Measurement("volume", float(masks[key].sum() * voxel_ml), (key,)) for key in masks]
    measurements += [
        Measurement("mean-attenuation", -812.345678901234, ("right-lung",)),
        Measurement("laa-950", 6.04999, ("right-lung", "left-lung")),
        Measurement("volume", float((right | left).sum() * voxel_ml), ("right-lung", "left-lung")),
    ]
    return Findings(
        segments=tuple(Segment(key, mask, "ct") for key, mask in masks.items()),
        measurements=tuple(measurements),
        summary=("Low-attenuation area of 6.0 % of both lungs.",),
    )


def encoded(folder: Path, made: Made, findings: Findings, **options: object) -> dict[str, Dataset]:
    """Result objects of a run read back, by the names of their files ("seg", "sr", "text", "0001" ...)."""
    folder.mkdir(parents=True, exist_ok=True)
    card, run = options.pop("card", CARD), options.pop("run", RUN)
    objects = encode(findings, card, made.grid, made.paths, run, folder, volume=made.volume, **options)  # type: ignore[arg-type]
    return {one.path.stem: pydicom.dcmread(one.path) for one in objects}


def put_bytes(path: Path, keyword: str, value: bytes) -> None:
    """Write a value byte for byte, as a scanner does, whatever its character set says."""
    source = pydicom.dcmread(path)
    value += b" " * (len(value) % 2)
    source[Tag(keyword)] = source.get_item(Tag(keyword))._replace(value=value, length=len(value))
    source.save_as(path)


def put_junk(path: Path, keyword: str, vr: bytes = b"SQ") -> None:
    """Write a sequence, before the pixels, whose bytes are none."""
    whole, number = path.read_bytes(), Tag(keyword)
    head = number.group.to_bytes(2, "little") + number.element.to_bytes(2, "little")
    at = whole.index(b"\x18\x00\x50\x00DS")
    path.write_bytes(whole[:at] + head + vr + b"\0\0\x04\0\0\0junk" + whole[at:])


def made_chest(slices: int, rows: int, columns: int) -> np.ndarray:
    """Air around a body with two lungs of unlike shape, so that no flip or swap of axes goes unseen."""
    k, i, j = np.meshgrid(
        np.linspace(-1, 1, slices), np.linspace(-1, 1, rows), np.linspace(-1, 1, columns), indexing="ij"
    )
    array = np.full(k.shape, -1000, np.int16)
    array[(i / 0.85) ** 2 + (j / 0.95) ** 2 < 1] = 40
    array[((k - 0.1) / 0.8) ** 2 + ((i + 0.1) / 0.5) ** 2 + ((j + 0.45) / 0.33) ** 2 < 1] = -820
    array[((k + 0.15) / 0.7) ** 2 + (i / 0.6) ** 2 + ((j - 0.45) / 0.28) ** 2 < 1] = -860
    array[((k - 0.3) / 0.3) ** 2 + ((i + 0.2) / 0.15) ** 2 + ((j + 0.4) / 0.15) ** 2 < 1] = -970
    return array


def header_of(
    index: int,
    pixels: np.ndarray,
    affine: np.ndarray,
    orientation: tuple[float, ...],
    spacing_mm: tuple[float, float, float],
    slices: int,
) -> Dataset:
    header = Dataset()
    header.file_meta = FileMetaDataset()
    header.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    header.SpecificCharacterSet = "ISO_IR 100"
    header.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    header.SOPClassUID = CTImageStorage
    header.SOPInstanceUID = f"2.25.100.{index + 1}"
    header.StudyInstanceUID, header.SeriesInstanceUID, header.FrameOfReferenceUID = STUDY, SERIES, FRAME_OF_REFERENCE
    header.StudyDate, header.StudyTime = "20240506", "211500"
    header.SeriesDate, header.SeriesTime = "20240506", "212000"
    header.ContentDate, header.ContentTime = "20240506", "212100"
    header.AcquisitionDate, header.AcquisitionTime = "20240506", "212100"
    header.TimezoneOffsetFromUTC = "+0200"
    header.AccessionNumber, header.StudyID = "A-17", "S17"
    header.ReferringPhysicianName = "Curie^Marie"
    header.StudyDescription, header.SeriesDescription = "CT CHEST", "Thorax 5.0"
    header.PatientName, header.PatientID, header.IssuerOfPatientID = "Müller^Jörg", "P-0815", "HOSPITAL"
    header.PatientBirthDate, header.PatientSex, header.PatientAge = "19600102", "M", "064Y"
    header.Modality, header.Manufacturer, header.ManufacturerModelName = "CT", "Maker", "Scanner 9"
    header.BodyPartExamined, header.PatientPosition = "CHEST", "HFS"
    header.SeriesNumber, header.AcquisitionNumber, header.InstanceNumber = 3, 1, slices - index
    header.ImagePositionPatient = [float(value) for value in affine[:3, 0] * index + affine[:3, 3]]
    header.ImageOrientationPatient = list(orientation)
    header.PositionReferenceIndicator = "SN"
    header.PixelSpacing, header.SliceThickness = [spacing_mm[1], spacing_mm[2]], spacing_mm[0]
    header.SamplesPerPixel, header.PhotometricInterpretation = 1, "MONOCHROME2"
    header.Rows, header.Columns = pixels.shape
    header.BitsAllocated, header.BitsStored, header.HighBit, header.PixelRepresentation = 16, 16, 15, 1
    header.RescaleIntercept, header.RescaleSlope, header.RescaleType = 0, 1, "HU"
    header.KVP, header.WindowCenter, header.WindowWidth = 120, -600, 1500
    header.PixelData = pixels.tobytes()
    return header
