"""Derived images: copies of the source's own images with the model's values for pixels, and where they came from."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian
from pydicom.valuerep import format_number_as_ds

from ai.contract import Code, DerivedCard
from ai.findings import DerivedSeries, Findings
from ai.volume import Volume
from node.core.identity import InstanceUID
from node.errors import ResultUnsound
from node.results.checks import expect, fault_of
from node.results.coding import concept
from node.results.evidence import study_item
from node.results.readable import FUNCTIONAL_GROUPS
from node.results.segmentation_check import PLACE_TOLERANCE_MM
from node.results.stamp import Edition, stamp
from node.results.uids import RenditionKind

GONE = (
    *("PixelData", "FloatPixelData", "DoubleFloatPixelData", "ExtendedOffsetTable", "ExtendedOffsetTableLengths"),
    *("SmallestImagePixelValue", "LargestImagePixelValue", "PixelPaddingValue", "PixelPaddingRangeLimit"),
    *("ModalityLUTSequence", "RescaleSlope", "RescaleIntercept", "RescaleType", "RealWorldValueMappingSequence"),
    *("IconImageSequence", "DigitalSignaturesSequence", "MACParametersSequence", "OriginalAttributesSequence"),
    *("RedPaletteColorLookupTableDescriptor", "ColorSpace"),
    *("VOILUTSequence", "PixelIntensityRelationshipLUTSequence"),
)
"""Attributes of the source that are untrue of other pixels."""

OF_ACQUISITION = (
    *("PulseSequenceName", "MRAcquisitionType", "EchoPulseSequence", "MultipleSpinEcho", "MultiPlanarExcitation"),
    *("PhaseContrast", "TimeOfFlightContrast", "ArterialSpinLabelingContrast", "SteadyStatePulseSequence"),
    *("EchoPlanarPulseSequence", "SaturationRecovery", "SpectrallySelectedSuppression", "OversamplingPhase"),
    *("GeometryOfKSpaceTraversal", "RectilinearPhaseEncodeReordering", "SegmentedKSpaceTraversal"),
    *("CoverageOfKSpace", "NumberOfKSpaceTrajectories"),
)
"""What multi-frame images state only where they are original (MR Pulse Sequence, PS3.3 C.8.13.4)."""

PICTURES = {**dict.fromkeys(("CR", "DX", "MG", "RF", "XA", "IO", "PX"), 16), "US": 8, "IVUS": 8}
"""Bits of a pixel by modality where values are no quantity: their classes have no rescale to write one with, and
ultrasound takes no other bits (PS3.3 C.8.5.6.1)."""

SOURCE_IMAGE = Code("121322", "DCM", "Source image for image processing operation")
"""Purpose of reference, of PS3.16 CID 7202."""

OVERLAY_GROUPS = range(0x6000, 0x6100)
STEPS = 65534
"""Between the lowest and the highest value, where values are not whole: one bit pattern is left for neither end."""


@dataclass(frozen=True)
class _Scale:
    """quantity = slope x stored + intercept; both as written in a DS."""

    slope: str
    intercept: str

    def stored(self, values: npt.NDArray[np.float32]) -> npt.NDArray[np.int64]:
        scaled = (values.astype(np.float64) - float(self.intercept)) / float(self.slope)
        return np.rint(scaled).astype(np.int64)


def build_derived(findings: Findings, edition: Edition, volume: Volume) -> Iterator[tuple[str, Dataset]]:
    """Each derived series image by image, named: as many instances as its source has."""
    for series in findings.derived:
        scale = _scale_for(series.values, edition.origin.text("Modality"))
        for number, (uid, indices) in enumerate(_slices_by_instance(edition).items(), 1):
            yield f"derived-{series.key}-{number:04}", _build(series, scale, number, uid, indices, edition, volume)


def _slices_by_instance(edition: Edition) -> dict[InstanceUID, list[int]]:
    found: dict[InstanceUID, list[int]] = {}
    for index, frame in enumerate(edition.origin.frames):
        found.setdefault(frame.sop_instance_uid, []).append(index)
    return found


def _scale_for(values: npt.NDArray[np.float32], modality: str) -> _Scale:
    """One for the whole series: whole numbers as they are, others in steps over their range."""
    low, high = float(values.min()), float(values.max())
    if modality in PICTURES:
        most = (1 << PICTURES[modality]) - 1
        if low < 0 or high > most:
            raise ResultUnsound(f"a derived {modality} image has values from {low:g} to {high:g}, not from 0 to {most}")
        return _Scale("1", "0")
    limits = np.iinfo(np.int16)
    if limits.min <= low and high <= limits.max and np.array_equal(values, np.rint(values)):
        return _Scale("1", "0")
    if modality == "PT":  # of which the intercept is always 0 (PS3.3 C.8.9.4)
        return _Scale(str(format_number_as_ds(max(-low, high) / limits.max)), "0")
    slope = str(format_number_as_ds(max((high - low) / STEPS, 1e-12)))
    return _Scale(slope, str(format_number_as_ds((low + high) / 2)))


def _build(
    series: DerivedSeries,
    scale: _Scale,
    number: int,
    uid: InstanceUID,
    indices: list[int],
    edition: Edition,
    volume: Volume,
) -> Dataset:
    card, kind, origin = edition.card.derived_series(series.key), RenditionKind.DERIVED, edition.origin
    image = origin.read(uid)
    is_inverted = image.get("PhotometricInterpretation") == "MONOCHROME1" and origin.is_flat
    states_rescale = "RescaleSlope" in image
    _forget(image)
    image.file_meta = FileMetaDataset()
    image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    image.SOPInstanceUID = edition.run.instance_uid(kind, number, series.key)
    image.SeriesInstanceUID = edition.run.series_uid(kind, series.key)
    image.SeriesNumber, image.InstanceNumber = edition.series_number(kind), image.get("InstanceNumber") or number
    image.SeriesDescription = edition.series_description(kind, card.label)
    image.DerivationDescription = f"{card.label} by {edition.card.name} {edition.card.version}"
    image.DerivationCodeSequence = [concept(card.derivation)]
    image.SourceImageSequence = [_source(uid, origin.instances[uid])]
    image.ImageType = ["DERIVED", *(list(image.get("ImageType") or [])[1:] or ["SECONDARY"])]
    if "PerFrameFunctionalGroupsSequence" in image:
        _put_groups(image, indices, scale, card, edition)
    elif image.Modality not in PICTURES:
        image.RescaleSlope, image.RescaleIntercept = scale.slope, scale.intercept
        image.RescaleType = "HU" if image.Modality == "CT" else "US"
    elif states_rescale:  # which digital radiographs must, that of nothing changed
        image.RescaleSlope, image.RescaleIntercept, image.RescaleType = "1", "0", "US"
    if is_inverted:
        low, high = float(volume.array.min()), float(volume.array.max())
        image.WindowCenter, image.WindowWidth = (low + high) / 2, max(high - low, 1.0)
    _put_pixels(image, scale.stored(series.values[indices]))
    stamp(image, edition, RenditionKind.DERIVED, body_part=True)
    image.SeriesDescriptionCodeSequence = [concept(card.derivation)]
    image.InstanceCreationDate, image.InstanceCreationTime = image.ContentDate, image.ContentTime
    return image


def _forget(header: Dataset, *more: str) -> None:
    """Take away what is untrue of other pixels, refers to other objects, or only the source's maker understands."""
    header.remove_private_tags()
    for element in list(header):
        if element.keyword in FUNCTIONAL_GROUPS:
            continue
        is_gone = element.keyword in GONE or element.keyword in more or element.tag.group in OVERLAY_GROUPS
        if is_gone or (element.VR == "SQ" and any(_refers(item) for item in element.value)):
            del header[element.tag]
    _mend(header)


def _mend(header: Dataset) -> None:
    """Take away what is not as DICOM has it, at any depth: scanners write it, and it must not stop a result."""
    for element in list(header):
        if fault_of(element) is not None:
            del header[element.tag]
        elif element.VR == "SQ":
            for item in element.value:
                _mend(item)


def _refers(item: Dataset) -> bool:
    """Whether an item names another object, at any depth."""
    return "ReferencedSOPInstanceUID" in item or any(
        _refers(below) for element in item if element.VR == "SQ" for below in element.value
    )


def _source(uid: InstanceUID, sop_class: str, frame_number: int | None = None) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = sop_class, uid
    if frame_number is not None:
        item.ReferencedFrameNumber = frame_number
    item.PurposeOfReferenceCodeSequence = [concept(SOURCE_IMAGE)]
    return item


def _put_groups(image: Dataset, indices: list[int], scale: _Scale, card: DerivedCard, edition: Edition) -> None:
    """The functional groups of the frames that were used, in the grid's order, with one rescale for all."""
    origin, own = edition.origin, image.PerFrameFunctionalGroupsSequence
    frames = [origin.frames[index] for index in indices]
    transformation = Dataset()
    transformation.RescaleSlope, transformation.RescaleIntercept = scale.slope, scale.intercept
    transformation.RescaleType = "HU" if image.Modality == "CT" else "US"
    groups = [own[(frame.frame_number or 1) - 1] for frame in frames]
    for item in (image.SharedFunctionalGroupsSequence[0], *groups):
        _forget(item, "PixelValueTransformationSequence")
        for element in item:
            if element.keyword.endswith("FrameTypeSequence"):
                element.value[0].FrameType = ["DERIVED", *list(element.value[0].get("FrameType") or [])[1:]]
    for frame, item in zip(frames, groups, strict=True):
        derivation = Dataset()
        derivation.DerivationCodeSequence = [concept(card.derivation)]
        derivation.SourceImageSequence = [_source(frame.sop_instance_uid, frame.sop_class_uid, frame.frame_number)]
        item.DerivationImageSequence = [derivation]
    image.SharedFunctionalGroupsSequence[0].PixelValueTransformationSequence = [transformation]
    named = {frame.sop_instance_uid: frame.sop_class_uid for frame in frames}
    evidence = study_item(origin.grid.study_uid, {origin.grid.series_uid: list(named.items())})
    image.SourceImageEvidenceSequence = [evidence]
    image.PerFrameFunctionalGroupsSequence = groups
    image.NumberOfFrames = len(groups)
    for keyword in OF_ACQUISITION:
        if keyword in image:
            delattr(image, keyword)


def _put_pixels(image: Dataset, stored: npt.NDArray[np.int64]) -> None:
    is_signed, bits = image.Modality not in PICTURES, PICTURES.get(image.Modality, 16)
    image.SamplesPerPixel, image.PhotometricInterpretation = 1, "MONOCHROME2"
    image.BitsAllocated = image.BitsStored = bits
    image.HighBit, image.PixelRepresentation = bits - 1, int(is_signed)
    pixels = stored.astype(_kind(image)).tobytes()
    image.PixelData = pixels + b"\0" * (len(pixels) % 2)
    image["PixelData"].VR = "OB" if bits == 8 else "OW"
    if image.get("PresentationLUTShape"):
        image.PresentationLUTShape = "IDENTITY"


def _kind(image: Dataset) -> str:
    """How numpy calls its pixels."""
    return f"<{'i' if image.PixelRepresentation else 'u'}{image.BitsAllocated // 8}"


def check_derived(path: Path, found: Dataset, findings: Findings, edition: Edition, _volume: Volume) -> None:
    """Every frame holds the values of the slice of its source, to half a step, and lies where that lies.

    A single image of no stated thickness has a position and makes no volume: its copy keeps what it says.
    """
    all_series = {edition.run.series_uid(RenditionKind.DERIVED, one.key): one for one in findings.derived}
    series, origin = all_series[found.SeriesInstanceUID], edition.origin
    source = found.SourceImageSequence[0].ReferencedSOPInstanceUID
    expect(path, "SOPClassUID", found.SOPClassUID, origin.instances.get(source))
    indices = _slices_by_instance(edition)[source]
    area = found.Rows * found.Columns
    stored = np.frombuffer(found.PixelData, _kind(found))
    expect(path, "frames", len(stored) // area, len(indices))
    stored = stored[: len(indices) * area].reshape(-1, found.Rows, found.Columns)
    for number, index in enumerate(indices):
        rescale, position = _read_frame(found, number)
        slope, intercept = float(rescale.get("RescaleSlope", 1)), float(rescale.get("RescaleIntercept", 0))
        worst = float(np.abs(stored[number] * slope + intercept - series.values[index]).max())
        if worst > slope * 0.501:
            raise ResultUnsound(f"{path.name}: frame {number + 1} differs by {worst:g} from slice {index + 1}")
        if position is not None and not origin.is_flat:
            place = np.array([float(value) for value in position])
            if np.abs(place - origin.frames[index].position_lps_mm).max() > PLACE_TOLERANCE_MM:
                raise ResultUnsound(f"{path.name}: frame {number + 1} lies at {place}, its source elsewhere")


def _read_frame(found: Dataset, number: int) -> tuple[Dataset, list[float] | None]:
    """Where the rescale of a frame stands, and where the frame lies (None of a radiograph)."""
    if "PerFrameFunctionalGroupsSequence" not in found:
        return found, found.get("ImagePositionPatient")
    shared, own = found.SharedFunctionalGroupsSequence[0], found.PerFrameFunctionalGroupsSequence[number]
    places = own.get("PlanePositionSequence") or shared.get("PlanePositionSequence") or [Dataset()]
    return shared.PixelValueTransformationSequence[0], places[0].get("ImagePositionPatient")
