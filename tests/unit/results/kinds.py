"""Sources and findings for every kind of result: a radiograph, and everything that a model may find."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataset import Dataset
from pydicom.uid import ComputedRadiographyImageStorage, EnhancedXAImageStorage, UltrasoundImageStorage

from ai.contract import Code, DerivedCard, InputCard, MapCard
from ai.findings import DerivedSeries, Detection, Findings, Map, Measurement, Segment, Shape
from ai.volume import Facts, Volume
from node.core.identity import InstanceUID, SeriesUID, StudyUID
from node.core.study import SourceGrid
from node.results.encode import Profile
from node.results.uids import RenditionKind
from tests.unit.results.made import ASSERTED, DETECTED, FINDING_CARD, SERIES, STUDY, Made, header_of, make_findings

EVERY_KIND = Profile(renditions=frozenset(RenditionKind))

FULL_CARD = replace(
    FINDING_CARD,
    maps=(
        MapCard("suspicion", "Suspicion", Code("130404", "DCM", "Saliency"), Code("1", "UCUM", "no units"), (0.0, 1.0)),
    ),
    derived=(DerivedCard("smooth", "Smoothed", Code("113087", "DCM", "Smoothing")),),
)  # fmt: skip
"""Of a model that does everything."""

FLAT_CARD = replace(
    FULL_CARD,
    name="chest-xr",
    inputs=(InputCard("ct", ("CR",), (), 1, None, None, None, None),),
    segments=FULL_CARD.segments[:2],
    derived=(),
)


def full_findings(made: Made) -> Findings:
    """Everything at once; the values of the derived series are not whole numbers."""
    k, i, j = np.indices(made.volume.array.shape)
    suspicion = np.exp(-((k - 6) ** 2 + ((i - 20) / 4) ** 2 + ((j - 12) / 4) ** 2) / 4).astype(np.float32)
    return replace(
        make_findings(made),
        classifications=ASSERTED,
        detections=DETECTED,
        maps=(Map("suspicion", suspicion, "ct"),),
        derived=(DerivedSeries("smooth", made.volume.array * np.float32(0.9) + np.float32(0.25), "ct"),),
    )


def make_radiograph(folder: Path, *, photometric: str = "MONOCHROME2", **changes: object) -> Made:
    """A chest radiograph without a place in the patient; of MONOCHROME1 the volume is upright, as it is read."""
    folder.mkdir(parents=True, exist_ok=True)
    rows, columns = 60, 50
    i, j = np.meshgrid(np.linspace(-1, 1, rows), np.linspace(-1, 1, columns), indexing="ij")
    upright = (1500 + 900 * i + 300 * j).astype(np.int16)
    header: Dataset = header_of(0, upright, np.eye(4), (1, 0, 0, 0, 1, 0), (1, 1, 1), 1)
    for keyword in ("ImagePositionPatient", "ImageOrientationPatient", "SliceThickness", "FrameOfReferenceUID",
                    "PositionReferenceIndicator", "RescaleIntercept", "RescaleSlope", "RescaleType", "KVP",
                    "PixelSpacing", "PatientPosition"):  # fmt: skip
        delattr(header, keyword)
    header.SOPClassUID, header.Modality = ComputedRadiographyImageStorage, "CR"
    header.ImageType = ["ORIGINAL", "PRIMARY"]
    header.ImagerPixelSpacing, header.PatientOrientation, header.ViewPosition = [0.2, 0.2], ["L", "F"], "PA"
    header.WindowCenter, header.WindowWidth = 1500, 2600
    header.BitsStored, header.HighBit, header.PixelRepresentation = 12, 11, 0
    header.PhotometricInterpretation = photometric
    stored = upright if photometric == "MONOCHROME2" else 4095 - upright
    header.PixelData = stored.astype("<u2").tobytes()
    for keyword, value in changes.items():
        setattr(header, keyword, value)
    path = folder / "radiograph.dcm"
    header.save_as(path, enforce_file_format=True)
    uid = InstanceUID(header.SOPInstanceUID)
    grid = SourceGrid(StudyUID(STUDY), SeriesUID(SERIES), ((uid, 1),), rows, columns, None, None)
    facts = Facts(modality="CR", body_part="CHEST", calibrated_at="detector")
    return Made(grid, {uid: path}, Volume(upright[np.newaxis], None, (1.0, 0.2, 0.2), facts))


def make_clip(folder: Path, *, shown: int) -> Made:
    """An angiography of three phases: of its frames, which have no place in the patient, one is an image of its own."""
    still = make_radiograph(folder, SOPClassUID=EnhancedXAImageStorage, Modality="XA")
    (uid, path), (upright,) = next(iter(still.paths.items())), still.volume.array
    header = pydicom.dcmread(path)
    header.NumberOfFrames, header.SharedFunctionalGroupsSequence = 3, [Dataset()]
    header.PerFrameFunctionalGroupsSequence = [Dataset() for _ in range(3)]
    for phase, group in enumerate(header.PerFrameFunctionalGroupsSequence, 1):
        group.FrameContentSequence = [Dataset()]
        group.FrameContentSequence[0].TemporalPositionIndex = phase
    header.PixelData = b"".join((upright + phase - shown).astype("<u2").tobytes() for phase in (1, 2, 3))
    header.save_as(path, enforce_file_format=True)
    return replace(still, grid=replace(still.grid, frames=((uid, shown),)))


def make_ultrasound(folder: Path) -> Made:
    """A picture of eight bits and of an odd number of pixels."""
    bits = {"BitsAllocated": 8, "BitsStored": 8, "HighBit": 7, "PixelRepresentation": 0}
    what = {"SOPClassUID": UltrasoundImageStorage, "Modality": "US", "Rows": 59, "Columns": 49}
    grey = np.linspace(0, 255, 59 * 49).reshape(59, 49).astype(np.uint8)
    made = make_radiograph(folder, **what, **bits, PixelData=grey.tobytes() + b"\0")
    volume = replace(made.volume, array=grey[np.newaxis].astype(np.int16))
    return replace(made, grid=replace(made.grid, rows=59, columns=49), volume=volume)


def flat_findings(made: Made) -> Findings:
    """Two regions, one in two parts with a hole, a box, a point, a map; numbers of one region and of the study."""
    shape = made.volume.array.shape
    right, left = np.zeros(shape, np.bool_), np.zeros(shape, np.bool_)
    right[0, 10:40, 5:20] = True
    right[0, 20:25, 10:14] = False
    right[0, 45:50, 5:9] = True
    left[0, 12:42, 30:44] = True
    suspicion = np.zeros(shape, np.float32)
    suspicion[0, 15:20, 32:38] = 0.8
    return Findings(
        segments=(Segment("right-lung", right, "ct"), Segment("left-lung", left, "ct")),
        measurements=(Measurement("mean-attenuation", 1234.56, ("right-lung",)), Measurement("laa-950", 3.2)),
        summary=("A word of the model.",),
        classifications=ASSERTED,
        detections=(
            Detection("nodule", Shape.BOX, np.array([[0.0, 14.0, 31.0], [0.0, 21.0, 39.0]]), "ct", 0.8),
            Detection("nodule", Shape.POINT, np.array([[0.0, 30.0, 40.0]]), "ct"),
        ),
        maps=(Map("suspicion", suspicion, "ct"),),
    )
