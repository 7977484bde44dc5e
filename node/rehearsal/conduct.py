"""How a stand-in PACS behaves: well, or wrongly in one of the ways that real ones do."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

SUCCESS = 0x0000


class Breach(Enum):
    """At which point the PACS breaks off, or falls silent."""

    ABORT_AFTER_ASSOCIATION = "abort after association"
    ABORT_DURING_STORE = "abort during store"
    NO_ANSWER = "no answer"
    """A C-STORE request is received and kept waiting until the PACS closes."""


@dataclass(frozen=True)
class Rejection:
    """Result, source and reason of an A-ASSOCIATE-RJ (PS3.8 table 9-21)."""

    result: int
    source: int
    reason: int


CALLED_AE_TITLE_NOT_RECOGNIZED = Rejection(1, 1, 7)
CALLING_AE_TITLE_NOT_RECOGNIZED = Rejection(1, 1, 3)
TEMPORARY_CONGESTION = Rejection(2, 3, 1)
LOCAL_LIMIT_EXCEEDED = Rejection(2, 3, 2)


@dataclass(frozen=True)
class Conduct:
    """How the PACS behaves; as it stands here, well.

    status: answered to every C-STORE, status_of: to those of a SOP class. accepts: the abstract syntaxes it takes, None
    for all it knows.
    """

    status: int = SUCCESS
    status_of: Mapping[str, int] = field(default_factory=dict)
    rejection: Rejection | None = None
    breach: Breach | None = None
    accepts: tuple[str, ...] | None = None
