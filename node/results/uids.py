"""The identity of a run, from which every UID of its result objects derives."""

from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from node.core.identity import InstanceUID, SeriesUID, derived_uid


class RenditionKind(str, Enum):
    """Kinds of result objects; their values are what peers.toml and the ledger call them."""

    SEG = "seg"
    SR = "sr"
    TEXT = "text"
    SUMMARY = "summary"
    PDF = "pdf"
    KO = "ko"
    RTSTRUCT = "rtstruct"
    GSPS = "gsps"
    MAP = "map"
    DERIVED = "derived"
    NOTICE = "notice"
    """In place of all others: the images were not analysed, and why."""
    NOTICE_PAGE = "notice-page"
    REJECTION = "rejection"
    """Beside all others: which objects of earlier runs they replace."""

    @property
    def is_image(self) -> bool:
        """Documents refer to images, and to the others as composite objects (PS3.3 C.18.3, C.18.4)."""
        return self in IMAGES


IMAGES = frozenset(
    {
        *(RenditionKind.SEG, RenditionKind.MAP, RenditionKind.DERIVED),
        *(RenditionKind.SUMMARY, RenditionKind.NOTICE_PAGE),
    }
)
"""Kinds that have rows and columns of pixels."""


@dataclass(frozen=True)
class RunIdentity:
    """Which run of which job; the same identity gives the same UIDs, and so do retries and resends.

    job_key: the job's UUID as text. started_at: when the analysis started, with its offset from UTC. variant: of the
    profile the objects are made for; tracking UIDs are the same in all.
    """

    job_key: str
    run: int
    started_at: datetime
    variant: str = ""

    def __post_init__(self) -> None:
        if self.started_at.utcoffset() is None:
            raise ValueError(f"the start of the analysis must state its offset from UTC: {self.started_at}")

    def series_uid(self, kind: RenditionKind, key: str = "") -> SeriesUID:
        """key: of the map or derived series, which are series of their own."""
        return SeriesUID(self._object_uid(kind.value, "series", *([key] if key else [])))

    def instance_uid(self, kind: RenditionKind, number: int = 1, key: str = "") -> InstanceUID:
        return InstanceUID(self._object_uid(kind.value, "instance", str(number), *([key] if key else [])))

    def tracking_uid(self, segment_key: str) -> str:
        """Tracking UID (0062,0021) of a segment: the same in SEG and SR."""
        return self._uid("tracking", segment_key)

    def dimensions_uid(self, key: str = "") -> str:
        """Dimension Organization UID (0020,9164) of the segmentation, or of the map of that key."""
        return self._object_uid("dimensions", *([key] if key else []))

    def _object_uid(self, *parts: str) -> str:
        return self._uid(*parts, *([self.variant] if self.variant else []))

    def _uid(self, *parts: str) -> str:
        return derived_uid("run", self.job_key, str(self.run), *parts)
