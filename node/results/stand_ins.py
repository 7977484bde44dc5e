"""One-pixel stand-ins for the source's frames, from which a library makes multi-frame results on the source's grid."""

from pydicom.dataset import Dataset
from pydicom.uid import CTImageStorage

from node.results.evidence import identified
from node.results.origin import Origin, SourceFrame


def stand_ins(origin: Origin) -> list[Dataset]:
    """One header of a single pixel for each slice of the grid, single-frame and multi-frame sources alike.

    From them the library makes frames, dimensions and functional groups. Patient and study are carried over in their
    own bytes; pixels and references are written afterwards from the grid, which takes a fraction of the time and
    memory, and lets no order of files decide where a mask lies.
    """
    return [_stand_in(index, frame, origin) for index, frame in enumerate(origin.frames)]


def _stand_in(index: int, frame: SourceFrame, origin: Origin) -> Dataset:
    header, first = identified(origin, f"2.25.{index}", CTImageStorage), origin.frames[0]
    header.FrameOfReferenceUID = origin.grid.frame_of_reference_uid
    header.PositionReferenceIndicator = origin.position_reference
    header.Modality = origin.text("Modality")
    header.Rows = header.Columns = 1
    header.ImagePositionPatient = list(frame.position_lps_mm)
    header.ImageOrientationPatient = list(first.orientation)
    header.PixelSpacing = list(first.pixel_spacing_mm)
    header.SliceThickness = first.slice_thickness_mm or origin.slice_spacing_mm
    header.SpacingBetweenSlices = origin.slice_spacing_mm  # of a single slice the library would make up a millimetre
    for keyword in ("LossyImageCompression", "LossyImageCompressionRatio", "LossyImageCompressionMethod"):
        if origin.text(keyword):
            header[keyword] = origin.header[keyword]
    return header


def stand_in_index(item: Dataset) -> int:
    uid: str = item.DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID
    return int(uid.rpartition(".")[2])


def refer_to_source(result: Dataset, origin: Origin) -> None:
    """Put the source's instances, and the frames of multi-frame ones, where the stand-ins are named."""
    for item in result.PerFrameFunctionalGroupsSequence:
        derivation = item.DerivationImageSequence[0]
        frame = origin.frames[stand_in_index(item)]
        derivation.SourceImageSequence = [_frame_reference(frame, derivation.SourceImageSequence[0])]
    result.SourceImageSequence = instance_references(origin)
    result.ReferencedSeriesSequence = [Dataset()]
    result.ReferencedSeriesSequence[0].SeriesInstanceUID = origin.grid.series_uid
    result.ReferencedSeriesSequence[0].ReferencedInstanceSequence = instance_references(origin)


def _frame_reference(frame: SourceFrame, stand_in: Dataset) -> Dataset:
    """A reference to the true frame, as the encoder made it to the stand-in."""
    reference = Dataset()
    reference.PurposeOfReferenceCodeSequence = stand_in.PurposeOfReferenceCodeSequence
    reference.SpatialLocationsPreserved = stand_in.SpatialLocationsPreserved
    reference.ReferencedSOPClassUID = frame.sop_class_uid
    reference.ReferencedSOPInstanceUID = frame.sop_instance_uid
    if frame.frame_number is not None:
        reference.ReferencedFrameNumber = frame.frame_number
    return reference


def instance_references(origin: Origin) -> list[Dataset]:
    """One SOP Instance Reference (PS3.3 table 10-11) for each source instance."""
    references = []
    for instance, sop_class in origin.instances.items():
        reference = Dataset()
        reference.ReferencedSOPClassUID = sop_class
        reference.ReferencedSOPInstanceUID = instance
        references.append(reference)
    return references


def name_dimensions(result: Dataset, uid: str) -> None:
    for item in [*result.DimensionOrganizationSequence, *result.DimensionIndexSequence]:
        item.DimensionOrganizationUID = uid
