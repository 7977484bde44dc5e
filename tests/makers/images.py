"""Makes images for tests: facts of slices, and small DICOM files."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from pydicom import uid
from pydicom.dataset import Dataset, FileMetaDataset

from node.core.identity import ClassUID, InstanceUID, Patient, SeriesUID, StudyUID
from node.core.study import FrameFacts, InstanceFacts, InstanceKind

STUDY = StudyUID("1.2.3")
SERIES = SeriesUID("1.2.3.4")
AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
SAGITTAL = (0.0, 1.0, 0.0, 0.0, 0.0, -1.0)
TILTED_14_DEG = (1.0, 0.0, 0.0, 0.0, 0.970295726276, -0.2419218955997)


def slice_facts(number: int, position: tuple[float, float, float] | None, **changes: Any) -> InstanceFacts:
    """One CT slice; changes to fields of the instance or of its frame go by their names."""
    frame = FrameFacts(position, AXIAL, (0.7, 0.7), 2.5, ("ORIGINAL", "PRIMARY", "AXIAL"))
    in_frame = {name: changes.pop(name) for name in list(changes) if hasattr(frame, name)}
    instance = InstanceFacts(
        sop_instance_uid=InstanceUID(f"1.2.3.4.{number}"),
        sop_class_uid=ClassUID(uid.CTImageStorage),
        transfer_syntax_uid=uid.ExplicitVRLittleEndian,
        study_uid=STUDY,
        series_uid=SERIES,
        kind=InstanceKind.IMAGE,
        patient=Patient("P1", ""),
        modality="CT",
        series_number=3,
        instance_number=number,
        frame_of_reference_uid="1.2.9",
        rows=512,
        columns=512,
        samples_per_pixel=1,
        photometric="MONOCHROME2",
        has_pixels=True,
        calibrated_at="patient",
        frames=(replace(frame, **in_frame),),
    )
    return replace(instance, **changes)


def volume_facts(heights_mm: list[float], **changes: Any) -> list[InstanceFacts]:
    """Axial slices at these heights, numbered from 1 in this order."""
    return [slice_facts(number, (-180.0, -180.0, z), **changes) for number, z in enumerate(heights_mm, 1)]


def even(count: int, spacing_mm: float = 2.5) -> list[float]:
    return [round(spacing_mm * k, 6) for k in range(count)]


def ct_dataset(number: int = 1, z_mm: float = 0.0, stored: np.ndarray | None = None, **changes: Any) -> Dataset:
    """A minimal CT slice of 4 x 6 pixels; a change to None takes the attribute away."""
    stored = np.arange(24, dtype=np.int16).reshape(4, 6) if stored is None else stored
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.MediaStorageSOPClassUID, ds.file_meta.MediaStorageSOPInstanceUID = uid.CTImageStorage, "1.2.3.4"
    ds.SOPClassUID = uid.CTImageStorage
    ds.SOPInstanceUID = f"1.2.3.4.{number}"
    ds.StudyInstanceUID, ds.SeriesInstanceUID = STUDY, SERIES
    ds.PatientID, ds.Modality, ds.InstanceNumber = "P1", "CT", number
    ds.FrameOfReferenceUID = "1.2.9"
    ds.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    ds.ImagePositionPatient = [-10.0, -20.0, z_mm]
    ds.ImageOrientationPatient = list(AXIAL)
    ds.PixelSpacing, ds.SliceThickness = [0.5, 0.7], 2.0
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.Rows, ds.Columns = stored.shape[-2:]
    ds.BitsAllocated = ds.BitsStored = 8 * stored.itemsize
    ds.HighBit, ds.PixelRepresentation = ds.BitsStored - 1, int(stored.dtype.kind == "i")
    ds.RescaleIntercept, ds.RescaleSlope = -1024, 1
    ds.PixelData = stored.tobytes()
    for keyword, value in changes.items():
        if value is None:
            delattr(ds, keyword)
        else:
            setattr(ds, keyword, value)
    ds["PixelData"].VR = "OW"
    return ds


def enhanced_mr_dataset(declared_frames: int = 4) -> Dataset:
    """An enhanced MR image of four frames of 4 x 6 pixels: two echoes, each 3 mm and 6 mm high."""
    stored = np.arange(4 * 24, dtype=np.int16).reshape(4, 4, 6)
    ds = ct_dataset(stored=stored, SOPClassUID=uid.EnhancedMRImageStorage, Modality="MR")
    ds.NumberOfFrames = declared_frames
    for keyword in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "SliceThickness"):
        delattr(ds, keyword)
    ds.DimensionIndexSequence = [_item(DimensionIndexPointer=0x00209057), _item(DimensionIndexPointer=0x00189082)]
    ds.SharedFunctionalGroupsSequence = [
        _item(
            PlaneOrientationSequence=[_item(ImageOrientationPatient=list(AXIAL))],
            PixelMeasuresSequence=[_item(PixelSpacing=[1, 2], SliceThickness=3)],
        )
    ]
    ds.PerFrameFunctionalGroupsSequence = [
        _item(
            FrameContentSequence=[_item(StackID="A", DimensionIndexValues=[place, echo])],
            PlanePositionSequence=[_item(ImagePositionPatient=[0, 0, 3 * place])],
            MREchoSequence=[_item(EffectiveEchoTime=10.0 * echo)],
        )
        for echo in (1, 2)
        for place in (1, 2)
    ]
    return ds


def _item(**attributes: Any) -> Dataset:
    item = Dataset()
    for keyword, value in attributes.items():
        setattr(item, keyword, value)
    return item


def write(path: Path, ds: Dataset, transfer_syntax_uid: str = uid.ExplicitVRLittleEndian) -> Path:
    """Write a data set as a Part 10 file."""
    ds.file_meta.TransferSyntaxUID = uid.UID(transfer_syntax_uid)
    ds.save_as(path, enforce_file_format=True)
    return path
