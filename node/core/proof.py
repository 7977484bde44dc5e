"""What the destination says it holds, and what that means: proven, look again, send again, or a person must look."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

FIRST_LOOK = timedelta(seconds=5)
"""Archives answer before they have indexed what they took."""
PATIENCE = timedelta(minutes=10)
"""So long an archive may need until it lists what it took."""
LACKING_LIMIT = 2
"""So often it may lack what it accepted: the first time the objects are sent again."""


@dataclass(frozen=True)
class Proven:
    """Everything is there."""


@dataclass(frozen=True)
class LookAgain:
    """Not yet; look once more after so long."""

    after: timedelta
    why: str


@dataclass(frozen=True)
class SendAgain:
    """These are not there though they were accepted."""

    missing: frozenset[str]
    why: str


@dataclass(frozen=True)
class Doubtful:
    """A person must look."""

    why: str


def judge(
    *, sent: Collection[str], held: Collection[str], accepted_at: datetime, lacking: int, now: datetime
) -> Proven | LookAgain | SendAgain | Doubtful:
    """Compare what was sent with what is held. lacking: how often it was found lacking before."""
    missing = frozenset(sent) - frozenset(held)
    if not missing:
        return Proven()
    count = f"{len(missing)} of {len(sent)} objects are not listed there, though it accepted them"
    waited = abs(now - accepted_at)  # in the future: the clock was set back, and nobody waits until it is there again
    if waited < PATIENCE:
        return LookAgain(max(FIRST_LOOK, waited), count)
    if lacking + 1 < LACKING_LIMIT:
        return SendAgain(missing, count)
    return Doubtful(f"{count}, {LACKING_LIMIT} times: look there why it does not keep them, then resend")
