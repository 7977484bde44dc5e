"""The phantom as a CT study: a series of Part 10 files that any node or viewer takes for a scanner's."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian
from pydicom.valuerep import format_number_as_ds

from node.core.identity import derived_uid
from node.rehearsal.grid import Order, ScanGrid
from node.rehearsal.scan import scan
from node.rehearsal.truth import Region, Truth, truth
from node.rehearsal.variants import DEMO, SMALL, VARIANTS

__all__ = [
    "DEMO",
    "SMALL",
    "VARIANTS",
    "Order",
    "Region",
    "ScanGrid",
    "Subject",
    "Truth",
    "scan",
    "truth",
    "write_study",
]

INTERCEPT_HU = -1024


@dataclass(frozen=True)
class Subject:
    """Whose study it says it is, and when; nobody's."""

    name: str = "Phantom^Chest"
    patient_id: str = "ISOCENTER-DEMO"
    birth_date: str = "19610214"
    age: str = "065Y"
    sex: str = "O"
    accession_number: str = "DEMO-0001"
    taken: datetime = datetime(2026, 3, 2, 9, 30)  # noqa: DTZ001 - DICOM dates are local to the scanner


def write_study(
    folder: Path, grid: ScanGrid = DEMO, *, subject: Subject | None = None, uid_seed: str = "demo", noise_seed: int = 1
) -> list[Path]:
    """Write the phantom's CT series into a folder, one file an image, in order of instance number.

    uid_seed: the same text gives the same UIDs; another one, another study. The folder is made where it is missing.
    """
    folder.mkdir(parents=True, exist_ok=True)
    stored = (scan(grid, noise_seed).astype(np.int32) - INTERCEPT_HU).astype(np.uint16)
    common = series_attributes(grid, subject or Subject(), uid_seed)
    written = []
    for index in range(grid.slices):
        number = index + 1 if grid.order is Order.ASCENDING else grid.slices - index
        image = Dataset()
        image.update(common)
        image.update(image_attributes(grid, uid_seed, index, number))
        image.PixelData = stored[index].tobytes()
        image.file_meta = FileMetaDataset()
        image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        path = folder / f"ct{number:04d}.dcm"
        image.save_as(path, enforce_file_format=True)
        written.append(path)
    return sorted(written)


def series_attributes(grid: ScanGrid, subject: Subject, uid_seed: str) -> Dataset:
    """What every image of the series says alike (PS3.3 section A.3, CT Image IOD)."""
    common = Dataset()
    common.SpecificCharacterSet = "ISO_IR 192"
    common.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    common.SOPClassUID = CTImageStorage
    common.StudyDate = common.SeriesDate = common.AcquisitionDate = common.ContentDate = f"{subject.taken:%Y%m%d}"
    common.StudyTime = common.SeriesTime = common.AcquisitionTime = common.ContentTime = f"{subject.taken:%H%M%S}"
    common.AccessionNumber = subject.accession_number
    common.Modality = "CT"
    common.Manufacturer = "Isocenter"
    common.ManufacturerModelName = "Analytic chest phantom"
    common.DeviceSerialNumber = "1"
    common.SoftwareVersions = "1"
    common.ReferringPhysicianName = ""
    common.StudyDescription = "Chest CT (synthetic)"
    common.SeriesDescription = "Chest phantom, lung"
    common.PatientName = subject.name
    common.PatientID = subject.patient_id
    common.PatientBirthDate = subject.birth_date
    common.PatientSex = subject.sex
    common.PatientAge = subject.age
    common.BodyPartExamined = "CHEST"
    common.SliceThickness = format_number_as_ds(grid.slice_spacing_mm)
    common.SpacingBetweenSlices = format_number_as_ds(grid.slice_spacing_mm)
    common.KVP = "120"
    common.XRayTubeCurrent = "180"
    common.ConvolutionKernel = "STANDARD"
    common.PatientPosition = grid.patient_position
    common.StudyInstanceUID = derived_uid("phantom", uid_seed, "study")
    common.SeriesInstanceUID = derived_uid("phantom", uid_seed, "series")
    common.FrameOfReferenceUID = derived_uid("phantom", uid_seed, "frame of reference")
    common.PositionReferenceIndicator = ""
    common.StudyID = "1"
    common.SeriesNumber = 2
    common.AcquisitionNumber = 1
    common.SamplesPerPixel = 1
    common.PhotometricInterpretation = "MONOCHROME2"
    common.Rows, common.Columns = grid.rows, grid.columns
    common.PixelSpacing = _decimals(grid.pixel_spacing_mm)
    common.ImageOrientationPatient = _decimals((*grid.row_direction, *grid.column_direction))
    common.BitsAllocated, common.BitsStored, common.HighBit, common.PixelRepresentation = 16, 12, 11, 0
    common.RescaleIntercept, common.RescaleSlope, common.RescaleType = str(INTERCEPT_HU), "1", "HU"
    common.WindowCenter, common.WindowWidth = ["-600", "40"], ["1500", "400"]
    common.WindowCenterWidthExplanation = ["LUNG", "MEDIASTINUM"]
    return common


def image_attributes(grid: ScanGrid, uid_seed: str, index: int, number: int) -> Dataset:
    """What the image of slice `index`, instance `number`, says for itself."""
    position: npt.NDArray[np.float64] = grid.affine_lps[:3, 3] + index * grid.affine_lps[:3, 0]
    image = Dataset()
    image.SOPInstanceUID = derived_uid("phantom", uid_seed, "image", str(number))
    image.InstanceNumber = number
    image.ImagePositionPatient = _decimals(tuple(position.tolist()))
    return image


def _decimals(values: tuple[float, ...]) -> list[str]:
    """Numbers as DICOM decimal strings of at most 16 characters."""
    return [format_number_as_ds(float(value)) for value in values]
