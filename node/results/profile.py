"""What one destination gets of a run: the forms its archive and viewers take, and what they replace there."""

from dataclasses import dataclass
from enum import Enum

from node.core.identity import InstanceUID, derived_uuid
from node.results.uids import RenditionKind

FIRST_SERIES_NUMBER = 9001

USUAL = frozenset(
    {
        *(RenditionKind.SEG, RenditionKind.SR, RenditionKind.TEXT, RenditionKind.SUMMARY),
        *(RenditionKind.GSPS, RenditionKind.MAP, RenditionKind.DERIVED),
    }
)
"""What is made where nothing else is asked for, as far as a run has it."""


class ReportClass(str, Enum):
    """SOP class of the measurement report, with the same tree: IHE AIR asks for the 3D one, old viewers know one."""

    COMPREHENSIVE = "comprehensive"
    COMPREHENSIVE_3D = "comprehensive3d"


class SegmentationType(str, Enum):
    """How segments are encoded. Every reader of segmentations reads BINARY; LABELMAP is far smaller, and of 2024."""

    BINARY = "binary"
    LABELMAP = "labelmap"


class Coordinates(str, Enum):
    """Where detections are drawn in the report: on images (SCOORD), or in the patient (SCOORD3D)."""

    IMAGE = "image"
    PATIENT = "patient"


@dataclass(frozen=True)
class Predecessor:
    """A document of an earlier run that a new one replaces. rendition: which one it is, "sr" or "text"."""

    rendition: str
    series_instance_uid: str
    sop_class_uid: str
    sop_instance_uid: InstanceUID


@dataclass(frozen=True)
class Profile:
    """The forms in which a run is encoded for one destination or several.

    coordinates: PATIENT needs the 3D report. outlines: whether the presentation state draws segments too, which it need
    not where there is a segmentation. renditions: the kinds that are made, all of which the report names. label: with
    which the series' descriptions begin. largest_seg_bytes: no segmentation beyond it goes there; None: of any size.
    is_seg_deflated: a segmentation is written in Deflated Explicit VR Little Endian.
    """

    report: ReportClass = ReportClass.COMPREHENSIVE
    segmentation: SegmentationType = SegmentationType.BINARY
    series_base: int = FIRST_SERIES_NUMBER
    coordinates: Coordinates = Coordinates.IMAGE
    outlines: bool = False
    renditions: frozenset[RenditionKind] = USUAL
    label: str = "AI"
    largest_seg_bytes: int | None = None
    is_seg_deflated: bool = False

    @property
    def variant(self) -> str:
        """Empty for the usual forms, else a short name for these: other bytes need other UIDs and another folder."""
        if self == Profile():
            return ""
        forms = (self.report.value, self.segmentation.value, str(self.series_base), self.coordinates.value)
        kinds = sorted(one.value for one in self.renditions)
        sizes = (str(self.largest_seg_bytes), str(self.is_seg_deflated))
        return derived_uuid("profile", *forms, str(self.outlines), self.label, *sizes, *kinds).hex[:8]

    def kind(self, rendition: str) -> str:
        """How the ledger calls one rendition in this profile."""
        return f"{rendition}@{self.variant}" if self.variant else rendition
