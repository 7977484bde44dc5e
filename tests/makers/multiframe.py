"""Tiny enhanced multi-frame objects for tests: one file that holds a volume, or several.

They call themselves DERIVED, because an ORIGINAL one has to tell fifty things about its acquisition.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as Items
from pydicom.uid import EnhancedCTImageStorage, EnhancedMRImageStorage

from node.core.identity import derived_uid
from tests.makers.series import AXIAL, base_image, decimal, write

STACK_ID, IN_STACK_POSITION, B_VALUE = 0x00209056, 0x00209057, 0x00189087
FRAME_CONTENT, DIFFUSION = 0x00209111, 0x00189117


def enhanced_ct(
    folder: Path, *, frames: int = 5, stacks: int = 1, spacing_mm: float = 2.0, slice_spacing_mm: float = 3.0
) -> Path:
    """An Enhanced CT object with stacks that lie side by side along the patient's length; HU by rescale."""
    image = _enhanced(EnhancedCTImageStorage, "CT", frames * stacks)
    image.ImageType = ["DERIVED", "PRIMARY", "VOLUME", "NONE"]
    image.MultienergyCTAcquisition = "NO"
    shared = _shared(spacing_mm, slice_spacing_mm)
    shared.CTImageFrameTypeSequence = _item(
        FrameType=image.ImageType, PixelPresentation="MONOCHROME", VolumetricProperties="VOLUME",
        VolumeBasedCalculationTechnique="NONE",
    )  # fmt: skip
    shared.PixelValueTransformationSequence = _item(RescaleIntercept="-1024", RescaleSlope="1", RescaleType="HU")
    shared.IrradiationEventIdentificationSequence = _item(IrradiationEventUID=derived_uid("maker", "irradiation"))
    image.SharedFunctionalGroupsSequence = Items([shared])
    image.PerFrameFunctionalGroupsSequence = Items(
        [
            _frame(place, stack, AXIAL, (place + 4 * frames * stack) * slice_spacing_mm, [stack + 1, place + 1])
            for stack in range(stacks)
            for place in range(frames)
        ]
    )
    image.DimensionIndexSequence = _dimensions(("Stack", STACK_ID), ("Position", IN_STACK_POSITION))
    image.DimensionOrganizationSequence = _item(DimensionOrganizationUID=_organization())
    return write(folder, [image])[0]


def enhanced_mr(
    folder: Path, *, frames: int = 5, b_values: Sequence[float] = (0.0,), slice_spacing_mm: float = 4.0
) -> Path:
    """An Enhanced MR object with one volume for each b-value, at the same places."""
    image = _enhanced(EnhancedMRImageStorage, "MR", frames * len(b_values))
    image.ImageType = ["DERIVED", "PRIMARY", "DIFFUSION", "NONE"]
    image.ComplexImageComponent, image.AcquisitionContrast = "MAGNITUDE", "DIFFUSION"
    image.ApplicableSafetyStandardAgency = "IEC"
    shared = _shared(2.0, slice_spacing_mm)
    shared.PixelValueTransformationSequence = _item(RescaleIntercept="0", RescaleSlope="1", RescaleType="US")
    shared.MRImageFrameTypeSequence = _item(
        FrameType=image.ImageType, PixelPresentation="MONOCHROME", VolumetricProperties="VOLUME",
        VolumeBasedCalculationTechnique="NONE", ComplexImageComponent="MAGNITUDE", AcquisitionContrast="DIFFUSION",
    )  # fmt: skip
    image.SharedFunctionalGroupsSequence = Items([shared])
    found = []
    for number, b_value in enumerate(b_values):
        for place in range(frames):
            frame = _frame(place, 0, AXIAL, place * slice_spacing_mm, [1, place + 1, number + 1])
            frame.MRDiffusionSequence = _item(DiffusionBValue=float(b_value), DiffusionDirectionality="ISOTROPIC")
            found.append(frame)
    image.PerFrameFunctionalGroupsSequence = Items(found)
    image.DimensionIndexSequence = _dimensions(
        ("Stack", STACK_ID), ("Position", IN_STACK_POSITION), ("b-value", B_VALUE)
    )
    image.DimensionOrganizationSequence = _item(DimensionOrganizationUID=_organization())
    return write(folder, [image])[0]


def _enhanced(sop_class: str, modality: str, frames: int) -> Dataset:
    image = base_image(sop_class, modality, 8, 10, "study", f"enhanced {modality}", 0)
    image.NumberOfFrames = frames
    image.BitsStored, image.HighBit, image.PixelRepresentation = 12, 11, 0
    image.ManufacturerModelName, image.DeviceSerialNumber, image.SoftwareVersions = "Maker", "1", "1"
    image.AcquisitionNumber, image.AcquisitionDateTime, image.AcquisitionDuration = 1, "20260302093000", 1.0
    image.ContentQualification = "RESEARCH"
    image.PixelPresentation, image.VolumetricProperties = "MONOCHROME", "VOLUME"
    image.VolumeBasedCalculationTechnique = "NONE"
    image.LossyImageCompression, image.BurnedInAnnotation, image.PresentationLUTShape = "00", "NO", "IDENTITY"
    image.AcquisitionContextSequence = Items([])
    values = np.arange(frames, dtype=np.uint16)[:, None, None] * 16 + np.arange(80, dtype=np.uint16).reshape(8, 10)
    image.PixelData = values.tobytes()
    return image


def _shared(spacing_mm: float, slice_spacing_mm: float) -> Dataset:
    shared = Dataset()
    shared.PixelMeasuresSequence = _item(
        PixelSpacing=[decimal(spacing_mm)] * 2,
        SliceThickness=decimal(slice_spacing_mm),
        SpacingBetweenSlices=decimal(slice_spacing_mm),
    )
    shared.FrameAnatomySequence = _item(
        FrameLaterality="U",
        AnatomicRegionSequence=_item(CodeValue="51185008", CodingSchemeDesignator="SCT", CodeMeaning="Chest"),
    )
    shared.FrameVOILUTSequence = _item(WindowCenter="40", WindowWidth="400")
    return shared


def _frame(place: int, stack: int, orientation: Sequence[float], height_mm: float, indices: list[int]) -> Dataset:
    frame = Dataset()
    frame.FrameContentSequence = _item(
        StackID=str(stack + 1), InStackPositionNumber=place + 1, DimensionIndexValues=indices,
        FrameAcquisitionNumber=1, FrameAcquisitionDateTime="20260302093000", FrameReferenceDateTime="20260302093000",
        FrameAcquisitionDuration=1.0,
    )  # fmt: skip
    frame.PlanePositionSequence = _item(ImagePositionPatient=["-30", "-20", decimal(height_mm)])
    frame.PlaneOrientationSequence = _item(ImageOrientationPatient=[decimal(one) for one in orientation])
    return frame


def _dimensions(*pointers: tuple[str, int]) -> Items:
    found = []
    for label, tag in pointers:
        group = DIFFUSION if tag == B_VALUE else FRAME_CONTENT
        found += _item(
            DimensionOrganizationUID=_organization(), DimensionIndexPointer=tag, FunctionalGroupPointer=group,
            DimensionDescriptionLabel=label,
        )  # fmt: skip
    return Items(found)


def _organization() -> str:
    return derived_uid("maker", "dimension organization")


def _item(**attributes: object) -> Items:
    """A sequence of one item."""
    item = Dataset()
    for keyword, value in attributes.items():
        setattr(item, keyword, value)
    return Items([item])
