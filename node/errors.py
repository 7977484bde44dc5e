"""Every error the node raises, drawn as one tree.

IsocenterError
├── ConfigurationInvalid        a setting, peer or route that cannot be used
├── NotFound                    the study, job, peer or route that was named does not exist
├── NotRunning                  the command needs a running node
├── AlreadyRunning              another node has this home or this port
├── LedgerUnusable              the database cannot be opened, is full, locked or gone, or is of another version
├── Busy                        as many are served at the same time as may be
├── NotPossible                 the action does not suit the present state
│   └── ChangedMeanwhile        somebody else has changed it since it was read
├── IntakeError                 an instance that is not taken; intake/status.py has a row for each
│   ├── SpoolFull               no room, or the disk failed
│   ├── NodeDraining            the node is being stopped
│   ├── TooLarge                larger than the limit
│   ├── DatasetMismatch         data set and command disagree
│   ├── Unreadable              no header that can be read, truncated, empty, a malformed UID
│   ├── NotSupported            a SOP class or transfer syntax that is not taken; associations do not even begin
│   └── ConflictRefused         same UID with other bytes, from a peer that wants these refused
├── Refused                     a study or stack that is not analysed, with its reason code
├── ProcessEnded                a process that did a stage ended before the stage was done, with its reason code
└── ResultUnsound               a result object that fails its own check; it never leaves
"""

from enum import Enum


class ReasonCode(str, Enum):
    """Reason codes of refusals and failures (design section 8)."""

    NOT_AN_IMAGE = "not-an-image"
    NO_PIXELS = "no-pixels"
    UNDECODABLE = "undecodable"
    LOCALIZER = "localizer"
    TOO_FEW_SLICES = "too-few-slices"
    NOT_A_VOLUME = "not-a-volume"
    MIXED_ORIENTATION = "mixed-orientation"
    IRREGULAR_SPACING = "irregular-spacing"
    MISSING_SLICES = "missing-slices"
    DUPLICATE_SLICES = "duplicate-slices"
    GANTRY_TILT = "gantry-tilt"
    FRAME_OF_REFERENCE = "frame-of-reference"
    COVERAGE = "coverage"
    MODALITY = "modality"
    OUT_OF_DECLARED_LIMITS = "out-of-declared-limits"
    IMAGE_QUALITY = "image-quality"
    OWN_RESULT = "own-result"
    TWO_PATIENTS = "two-patients"
    MODEL_REFUSED = "model-refused"
    MODEL_FAILED = "model-failed"
    OUT_OF_MEMORY = "out-of-memory"
    TIMEOUT = "timeout"


class IsocenterError(Exception):
    """Base of every error the node raises on purpose; the message says what, where, and what to do."""


class ConfigurationInvalid(IsocenterError, ValueError):
    """A setting, peer or route cannot be used; the message names file, line and key.

    It is a ValueError too, so that pydantic gathers it with its own findings.
    """


class NotFound(IsocenterError):
    """What was named does not exist."""


class NotRunning(IsocenterError):
    """The command needs a running node and found none."""


class AlreadyRunning(IsocenterError):
    """Another node holds this home or this port."""


class LedgerUnusable(IsocenterError):
    """The database cannot be opened, is full, locked or gone, or was written by another version."""


class Busy(IsocenterError):
    """As many are served at the same time as may be: it can be tried again soon."""


class IntakeError(IsocenterError):
    """An instance is not taken. `offending_tag` is the element at fault, as 0xGGGGEEEE, where it is known."""

    def __init__(self, message: str, offending_tag: int | None = None) -> None:
        super().__init__(message)
        self.offending_tag = offending_tag


class SpoolFull(IntakeError):
    """There is no room for the instance, or the disk failed while it was written."""


class NodeDraining(IntakeError):
    """The node is being stopped and takes nothing new."""


class TooLarge(IntakeError):
    """The instance is larger than `intake.max_instance_mb`."""


class DatasetMismatch(IntakeError):
    """The data set's UIDs or class differ from the command's."""


class Unreadable(IntakeError):
    """The header cannot be read, a UID is malformed, or the data set is truncated or empty."""


class NotSupported(IntakeError):
    """A SOP class or transfer syntax is not taken, where none was negotiated before."""


class ConflictRefused(IntakeError):
    """The same UID came with other bytes and the peer asks for such to be refused."""


class Refused(IsocenterError):
    """A study or stack is not analysed: a visible outcome with its reason code, not a fault of the node."""

    def __init__(self, reason: ReasonCode, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class ProcessEnded(IsocenterError):
    """A process that did a stage ended before the stage was done. reason: out-of-memory, timeout, or undecodable where
    it crashed over the images."""

    def __init__(self, reason: ReasonCode, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class ResultUnsound(IsocenterError):
    """A result object read back from its bytes differs from findings or source; it is not sent."""


class NotPossible(IsocenterError):
    """The action does not suit the present state; the message says what does."""


class ChangedMeanwhile(NotPossible):
    """Somebody else has changed it since it was read: to write it now would undo that."""
