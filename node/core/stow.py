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


def http_status(stored: Sequence[Stored]) -> int:
    """200 where all are stored, 202 where some are, 409 where none is, 400 where none came (PS3.18 table 10.5.3-1)."""
    if not stored:
        return 400
    failed = sum(one.failure != 0 for one in stored)
    if failed == 0:
        return 200
    return 202 if failed < len(stored) else 409
