"""Tiny series for tests: sound ones, and ones with a single fault each."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    ComputedRadiographyImageStorage,
    CTImageStorage,
    DigitalMammographyXRayImageStorageForPresentation,
    ExplicitVRLittleEndian,
    MRImageStorage,
)
from pydicom.valuerep import format_number_as_ds

from node.core.identity import derived_uid

AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
CORONAL = (1.0, 0.0, 0.0, 0.0, 0.0, -1.0)
SAGITTAL = (0.0, 1.0, 0.0, 0.0, 0.0, -1.0)
Change = Callable[[Dataset, int], None]
"""Alters an image just before it is written; the number is its place in the series, from 0."""


def ct_series(
    folder: Path,
    *,
    slices: int = 6,
    rows: int = 8,
    columns: int = 10,
    spacing_mm: tuple[float, float] = (2.0, 2.0),
    slice_spacing_mm: float = 3.0,
    orientation: Sequence[float] = AXIAL,
    tilt_deg: float = 0.0,
    left_out: Sequence[int] = (),
    doubled: Sequence[int] = (),
    instances_reversed: bool = False,
    frame_of_reference_per_slice: bool = False,
    with_pixels: bool = True,
    with_geometry: bool = True,
    study: str = "study",
    series: str = "ct",
    change: Change | None = None,
) -> list[Path]:
    """Write a CT series into a folder; every image is one place further along the slice normal.

    tilt_deg: gantry tilt, by which positions drift along the columns as on a real tilted gantry. left_out: places
    without an image. doubled: places with two images of different UIDs. study, series: other texts, other UIDs.
    """
    places = sorted({*range(slices)} - {*left_out}) + list(doubled)
    images = []
    for number, place in enumerate(places):
        image = ct_image(rows, columns, study, series, number)
        image.InstanceNumber = len(places) - number if instances_reversed else number + 1
        if with_geometry:
            place_image(image, orientation, spacing_mm, slice_spacing_mm, place, tilt_deg)
        if frame_of_reference_per_slice:
            image.FrameOfReferenceUID = derived_uid("maker", study, series, "frame of reference", str(number))
        if not with_pixels:
            del image.PixelData
        images.append(image)
    return write(folder, images, change)


def ct_two_orientations(folder: Path, *, slices: int = 4) -> list[Path]:
    """One CT series that holds an axial and a coronal stack."""
    images = []
    for number in range(2 * slices):
        image = ct_image(8, 10, "study", "mixed", number)
        place_image(image, AXIAL if number < slices else CORONAL, (2.0, 2.0), 3.0, number % slices, 0.0)
        images.append(image)
    return write(folder, images)


def mr_b_values(folder: Path, *, b_values: Sequence[float] = (0, 500, 1000), slices: int = 4) -> list[Path]:
    """One MR diffusion series, every b-value at every place; DiffusionBValue in single frames, as vendors write it."""
    images = []
    for number in range(slices * len(b_values)):
        place, kind = divmod(number, len(b_values))
        image = base_image(MRImageStorage, "MR", 8, 10, "study", "diffusion", number)
        image.ImageType = ["ORIGINAL", "PRIMARY", "OTHER"]
        image.ScanningSequence, image.SequenceVariant, image.ScanOptions = "EP", "SK", ""
        image.MRAcquisitionType, image.EchoTime, image.RepetitionTime = "2D", "80", "4000"
        image.EchoTrainLength = 1
        image.DiffusionBValue = float(b_values[kind])
        image.BitsStored, image.HighBit, image.PixelRepresentation = 12, 11, 0
        image.PixelData = np.full((8, 10), 400 - 100 * kind, np.uint16).tobytes()
        place_image(image, AXIAL, (2.0, 2.0), 4.0, place, 0.0)
        images.append(image)
    return write(folder, images)


def cr_images(
    folder: Path,
    *,
    views: Sequence[str] = ("PA", "LL"),
    photometric: str = "MONOCHROME2",
    imager_spacing_mm: float | None = 0.2,
    calibrated_spacing_mm: float | None = None,
) -> list[Path]:
    """Single radiographs of one series; calibrated_spacing_mm is PixelSpacing, which says that it was calibrated."""
    images = []
    for number, view in enumerate(views):
        image = base_image(ComputedRadiographyImageStorage, "CR", 12, 10, "study", "cr", number)
        image.ImageType = ["ORIGINAL", "PRIMARY"]
        image.PhotometricInterpretation = photometric
        image.ViewPosition = view
        image.PatientOrientation = ["L", "F"] if view in ("PA", "AP") else ["P", "F"]
        image.PixelData = np.arange(120, dtype=np.uint16).tobytes()
        image.BitsStored, image.HighBit, image.PixelRepresentation = 12, 11, 0
        if imager_spacing_mm is not None:
            image.ImagerPixelSpacing = [decimal(imager_spacing_mm)] * 2
        if calibrated_spacing_mm is not None:
            image.PixelSpacing = [decimal(calibrated_spacing_mm)] * 2
            image.PixelSpacingCalibrationType = "FIDUCIAL"
            image.PixelSpacingCalibrationDescription = "1 cm ball at the skin"
        del image.FrameOfReferenceUID, image.PositionReferenceIndicator, image.PatientPosition
        images.append(image)
    return write(folder, images)


MASS = (slice(60, 80), slice(30, 50))
"""Rows and columns of the bright mass in `mg_image`."""


def mg_image(folder: Path, *, photometric: str = "MONOCHROME2") -> Path:
    """A left breast in the medio-lateral oblique view, with a square mass in it; upright whatever is stored."""
    image = base_image(DigitalMammographyXRayImageStorageForPresentation, "MG", 128, 96, "study", "mg", 1)
    row, column = np.mgrid[:128, :96]
    upright = np.where((row - 64.0) ** 2 / 60**2 + column**2 / 80.0**2 < 1, 1500, 40).astype(np.uint16)
    upright[MASS] = 3600
    stored = upright if photometric == "MONOCHROME2" else 4095 - upright
    image.ImageType = ["DERIVED", "PRIMARY"]
    image.PresentationIntentType, image.BurnedInAnnotation = "FOR PRESENTATION", "NO"
    image.BodyPartExamined, image.ImageLaterality, image.ViewPosition = "BREAST", "L", "MLO"
    image.PatientOrientation, image.ImagerPixelSpacing = ["A", "FR"], ["0.1", "0.1"]
    image.PhotometricInterpretation = photometric
    image.PresentationLUTShape = "IDENTITY" if photometric == "MONOCHROME2" else "INVERSE"
    image.BitsStored, image.HighBit, image.PixelRepresentation = 12, 11, 0
    image.RescaleIntercept, image.RescaleSlope, image.RescaleType = "0", "1", "US"
    image.WindowCenter, image.WindowWidth = "2048", "4096"
    image.PixelData = stored.tobytes()
    del image.FrameOfReferenceUID, image.PositionReferenceIndicator, image.PatientPosition
    (path,) = write(folder, [image])
    return path


def decimal(number: float) -> str:
    """A number as a DICOM decimal string of at most 16 characters."""
    return format_number_as_ds(float(number))


def ct_image(rows: int, columns: int, study: str, series: str, number: int) -> Dataset:
    """A CT image without a place in the patient; its pixels rise along columns, rows and images."""
    image = base_image(CTImageStorage, "CT", rows, columns, study, series, number)
    image.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    image.KVP, image.AcquisitionNumber, image.ConvolutionKernel = "120", 1, "STANDARD"
    image.RescaleIntercept, image.RescaleSlope, image.RescaleType = "-1024", "1", "HU"
    image.BitsStored, image.HighBit, image.PixelRepresentation = 12, 11, 0
    row, column = np.mgrid[:rows, :columns]
    image.PixelData = (1024 + column + 16 * row + 256 * (number % 8)).astype(np.uint16).tobytes()
    return image


def base_image(sop_class: str, modality: str, rows: int, columns: int, study: str, series: str, number: int) -> Dataset:
    """What every image here has in common."""
    image = Dataset()
    image.SpecificCharacterSet = "ISO_IR 192"
    image.SOPClassUID = sop_class
    image.SOPInstanceUID = derived_uid("maker", study, series, "image", str(number))
    image.StudyInstanceUID = derived_uid("maker", study)
    image.SeriesInstanceUID = derived_uid("maker", study, series)
    image.FrameOfReferenceUID = derived_uid("maker", study, series, "frame of reference")
    image.StudyDate, image.StudyTime, image.ContentDate, image.ContentTime = "20260302", "093000", "20260302", "093000"
    image.Modality, image.Manufacturer, image.BodyPartExamined = modality, "Isocenter", "CHEST"
    image.StudyDescription, image.SeriesDescription = f"Test {study}", f"Test {series}"
    image.PatientName, image.PatientID = "Maker^Test", "TEST-1"
    image.PatientBirthDate, image.PatientSex, image.PatientAge = "19700101", "F", "056Y"
    image.ReferringPhysicianName, image.StudyID, image.AccessionNumber = "", "1", "A-1"
    image.PositionReferenceIndicator, image.PatientPosition = "", "HFS"
    image.SeriesNumber, image.InstanceNumber = 1, number + 1
    image.SamplesPerPixel, image.PhotometricInterpretation, image.BitsAllocated = 1, "MONOCHROME2", 16
    image.Rows, image.Columns = rows, columns
    return image


def place_image(
    image: Dataset,
    orientation: Sequence[float],
    spacing_mm: tuple[float, float],
    slice_spacing_mm: float,
    place: int,
    tilt_deg: float,
) -> None:
    """Put an image at a place along the slice normal."""
    normal = np.cross(orientation[:3], orientation[3:])
    drift = np.array(orientation[3:]) * math.tan(math.radians(tilt_deg))
    position = np.array([-30.0, -20.0, 10.0]) + (normal + drift) * slice_spacing_mm * place
    image.ImageOrientationPatient = [decimal(one) for one in orientation]
    image.ImagePositionPatient = [decimal(one) for one in position]
    image.PixelSpacing = [decimal(one) for one in spacing_mm]
    image.SliceThickness = decimal(slice_spacing_mm)
    if tilt_deg:
        image.GantryDetectorTilt = decimal(tilt_deg)


def write(folder: Path, images: Sequence[Dataset], change: Change | None = None) -> list[Path]:
    """Write images as Part 10 files, in their order."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for number, image in enumerate(images):
        if change:
            change(image, number)
        image.file_meta = FileMetaDataset()
        image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        paths.append(folder / f"{image.Modality.lower()}{number:04d}.dcm")
        image.save_as(paths[-1], enforce_file_format=True)
    return paths
