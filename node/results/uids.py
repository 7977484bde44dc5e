"""The identity of a run, from which every UID of its result objects derives."""

from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from node.core.identity import InstanceUID, SeriesUID, derived_uid


class RenditionKind(str, Enum):
    """Kinds of result objects, in the order in which they are sent: what is referenced goes first."""

    SEG = "seg"
    SR = "sr"
    TEXT = "text"
    SUMMARY = "summary"
    NOTICE = "notice"
    """In place of all others: the images were not analysed, and why."""
    NOTICE_PAGE = "notice-page"


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

    def series_uid(self, kind: RenditionKind) -> SeriesUID:
        return SeriesUID(self._object_uid(kind.value, "series"))

    def instance_uid(self, kind: RenditionKind, number: int = 1) -> InstanceUID:
        return InstanceUID(self._object_uid(kind.value, "instance", str(number)))

    def tracking_uid(self, segment_key: str) -> str:
        """Tracking UID (0062,0021) of a segment: the same in SEG and SR."""
        return self._uid("tracking", segment_key)

    def dimensions_uid(self) -> str:
        """Dimension Organization UID (0020,9164) of the segmentation."""
        return self._object_uid("dimensions")

    def _object_uid(self, *parts: str) -> str:
        return self._uid(*parts, *([self.variant] if self.variant else []))

    def _uid(self, *parts: str) -> str:
        return derived_uid("run", self.job_key, str(self.run), *parts)
