"""Tells when somebody set the clock: by a second clock that nobody sets, and by when it was last looked at."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

STEP = timedelta(seconds=30)
"""A clock that differs from a steady one by more than this between two looks was set, not slewed."""
NO_STEP = timedelta(0)
LEAP = timedelta(days=10)
"""A clock that is looked at every hour was set ahead by more than this, or nobody ran to look: either may be. A node
that is off over each weekend, or for a holiday's week, is not to keep everything for ever."""
LONG_AGO = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True)
class Steady:
    """What was seen of a clock. looked_at: when, by itself. since: when it had last leapt ahead."""

    looked_at: datetime
    since: datetime = LONG_AGO

    def at(self, now: datetime) -> "Steady":
        """What is seen of it now."""
        return Steady(now, now if now - self.looked_at > LEAP else min(self.since, now))


class StepWatch:
    """Looks at two clocks. clock: the time of day; steady_s: seconds that only ever pass."""

    def __init__(self, clock: Callable[[], datetime], steady_s: Callable[[], float]) -> None:
        self._clock, self._steady_s = clock, steady_s
        self._looked_at, self._looked_s = clock(), steady_s()

    def look(self) -> timedelta:
        """By how much the clock was set since the last look, forward or (negative) back; nothing where it just ran."""
        now, steady_s = self._clock(), self._steady_s()
        step = now - self._looked_at - timedelta(seconds=steady_s - self._looked_s)
        self._looked_at, self._looked_s = now, steady_s
        return step if abs(step) > STEP else NO_STEP
