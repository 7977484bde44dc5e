"""What became of the instances of one STOW-RS request, and which HTTP status says so."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum


class End(Enum):
    """How a request ended."""

    WHOLE = "whole"
    BROKEN_OFF = "broken-off"
    MALFORMED = "malformed"
    """Its body is not what its Content-Type says."""


@dataclass(frozen=True)
class Stored:
    """One instance. failure: 0 where it is durable, else the status that C-STORE would have been answered; the UIDs are
    empty where they could not be read."""

    sop_class_uid: str
    sop_uid: str
    failure: int = 0


OUT_OF_RESOURCES = range(0xA700, 0xA800)


def http_status(stored: Sequence[Stored]) -> int:
    """200 where all are stored, 202 where some are, 409 where none is, 400 where none came (PS3.18 table 10.5.3-1); 503
    where none is for want of resources alone, since the same may be taken later (RFC 9110 section 15.6.4)."""
    if not stored:
        return 400
    failures = [one.failure for one in stored if one.failure]
    if len(failures) < len(stored):
        return 202 if failures else 200
    return 503 if all(one in OUT_OF_RESOURCES for one in failures) else 409
