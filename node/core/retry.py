"""After a failure: try again when, or give up?"""

from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True)
class TryAgain:
    """Try once more after so long."""

    after: timedelta


@dataclass(frozen=True)
class GiveUp:
    """No further try; `why` is told to the operator."""

    why: str


def after_stage_failed(*, errors: int, crashes: int, error_limit: int, crash_limit: int) -> TryAgain | GiveUp:
    """Whether a stage is tried again; counts include the failure at hand. Waits 5, 10, 20 … s after an error."""
    if crashes >= crash_limit:
        return GiveUp(f"the process died {crashes} times in this stage")
    if errors >= error_limit:
        return GiveUp(f"the stage failed {errors} times")
    return TryAgain(timedelta(seconds=5 * 2 ** max(errors - 1, 0)) if errors else timedelta(0))


def after_send_failed(
    *, attempt: int, first_try: datetime, now: datetime, first_s: float, max_s: float, give_up: timedelta
) -> TryAgain | GiveUp:
    """When a delivery is tried again: doubling from `first_s` up to `max_s`, until `give_up` after the first try.

    By the time since then: it doubles with every such pause, also where somebody had it tried in between.
    attempt: the number of tries so far, for the words.
    """
    since_s = max((now - first_try).total_seconds(), 0)
    wait = timedelta(seconds=min(first_s + since_s, max_s))
    if now + wait - first_try > give_up:
        return GiveUp(f"not delivered in {give_up / timedelta(days=1):g} days and {attempt} tries")
    return TryAgain(wait)
