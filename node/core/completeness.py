"""Has all of a study arrived?"""

from dataclasses import dataclass
from datetime import datetime, timedelta

ASSOCIATION_GRACE = timedelta(seconds=60)
"""An association that brought the study last and is still open extends the quiet time by this much at most."""


@dataclass(frozen=True)
class GatheringPolicy:
    """How long to wait for more of a study."""

    quiet: timedelta
    cap: timedelta
    absolute_cap: timedelta


@dataclass(frozen=True)
class Activity:
    """What has been seen of a study. last_at: the last instance that counts as activity."""

    first_at: datetime
    last_at: datetime
    association_open: bool
    pending: bool
    """Whether instances of it are published but not yet in the ledger: nothing is decided before they are."""
    ordered: bool
    """Whether an operator said "complete now"."""


@dataclass(frozen=True)
class Wait:
    """Not yet: look again at this time, or earlier when something arrives."""

    until: datetime


@dataclass(frozen=True)
class Complete:
    """Process what is there. `incomplete` is said in the results where a cap, not quiet, decided."""

    why: str
    incomplete: bool


def decide(activity: Activity, policy: GatheringPolicy, now: datetime) -> Wait | Complete:
    """Whether a study is complete (design section 1, Gathering).

    Times from the future (a clock that was set back) count as now.
    """
    if activity.pending:
        return Wait(now + timedelta(seconds=1))
    if activity.ordered:
        return Complete("an operator completed it", incomplete=False)
    last_at, first_at = min(activity.last_at, now), min(activity.first_at, now)
    if now >= first_at + policy.absolute_cap:
        return Complete(f"{_words(policy.absolute_cap)} since its first image", incomplete=True)
    if now >= last_at + policy.cap:
        return Complete(f"{_words(policy.cap)} since its last image", incomplete=True)
    quiet_end = last_at + policy.quiet + (ASSOCIATION_GRACE if activity.association_open else timedelta(0))
    if now >= quiet_end:
        return Complete(f"quiet for {_words(now - last_at)}", incomplete=False)
    return Wait(min(quiet_end, last_at + policy.cap, first_at + policy.absolute_cap))


def _words(span: timedelta) -> str:
    seconds = round(span.total_seconds())
    if seconds < 120:
        return f"{seconds} s"
    return f"{seconds // 60} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
