"""Which C-STORE status answers which error."""

from dataclasses import dataclass

from node.errors import (
    ConflictRefused,
    DatasetMismatch,
    IntakeError,
    NodeDraining,
    NotSupported,
    SpoolFull,
    TooLarge,
    Unreadable,
)

SUCCESS = 0x0000
PROCESSING_FAILURE = 0x0110
COMMENT_LENGTH = 64
"""Error Comment (0000,0902) is LO (PS3.7 annex C)."""

STATUS: dict[type[IntakeError], tuple[int, str]] = {
    SpoolFull: (0xA700, "Out of resources: no room or disk fault; send again later"),
    NodeDraining: (0xA700, "Out of resources: node is being stopped; send again later"),
    TooLarge: (0xC000, "Larger than this node takes, as it came or once inflated"),
    DatasetMismatch: (0xA900, "Data set does not match SOP Class or Instance of the command"),
    Unreadable: (0xC000, "Data set is unreadable, truncated or empty, or a UID is no UID"),
    NotSupported: (0x0122, "SOP class or transfer syntax is not taken"),
    ConflictRefused: (0x0111, "Duplicate SOP Instance UID with another data set"),
}
"""Status and Error Comment of each way not to take an instance (design section 6; PS3.4 table B.2-1, PS3.7 annex C).

Total over IntakeError: tests/unit/intake/test_status.py.
"""


@dataclass(frozen=True)
class Answer:
    """What a C-STORE-RSP says. offending_tag: 0xGGGGEEEE for Offending Element (0000,0901), where it is known."""

    status: int
    comment: str = ""
    offending_tag: int | None = None


STORED = Answer(SUCCESS)


def answer_to(error: IntakeError) -> Answer:
    """The answer to an instance that is not taken."""
    status, comment = STATUS[type(error)]
    return Answer(status, comment, error.offending_tag)


def our_fault(fault_id: str) -> Answer:
    """The answer where the node itself is at fault; `fault_id` finds the fault in its log."""
    return Answer(PROCESSING_FAILURE, f"Fault {fault_id} of this node: see its log; send again later")
