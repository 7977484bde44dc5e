"""What one destination gets of a run: the forms its archive and viewers take, and what they replace there."""

from dataclasses import dataclass
from enum import Enum

from node.core.identity import InstanceUID, derived_uuid

FIRST_SERIES_NUMBER = 9001


class ReportClass(str, Enum):
    """SOP class of the measurement report, with the same tree: IHE AIR asks for the 3D one, old viewers know one."""

    COMPREHENSIVE = "comprehensive"
    COMPREHENSIVE_3D = "comprehensive3d"


class SegmentationType(str, Enum):
    """How segments are encoded. Every reader of segmentations reads BINARY; LABELMAP is far smaller, and of 2024."""

    BINARY = "binary"
    LABELMAP = "labelmap"


@dataclass(frozen=True)
class Predecessor:
    """A document of an earlier run that a new one replaces. rendition: which one it is, "sr" or "text"."""

    rendition: str
    series_instance_uid: str
    sop_class_uid: str
    sop_instance_uid: InstanceUID


@dataclass(frozen=True)
class Profile:
    """The forms in which a run is encoded for one destination or several."""

    report: ReportClass = ReportClass.COMPREHENSIVE
    segmentation: SegmentationType = SegmentationType.BINARY
    series_base: int = FIRST_SERIES_NUMBER

    @property
    def variant(self) -> str:
        """Empty for the usual forms, else a short name for these: other bytes need other UIDs and another folder."""
        if self == Profile():
            return ""
        return derived_uuid("profile", self.report.value, self.segmentation.value, str(self.series_base)).hex[:8]

    def kind(self, rendition: str) -> str:
        """How the ledger calls one rendition in this profile."""
        return f"{rendition}@{self.variant}" if self.variant else rendition
