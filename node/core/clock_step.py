"""Tells when somebody set the clock, by a second clock that nobody sets."""

from collections.abc import Callable
from datetime import datetime, timedelta

STEP = timedelta(seconds=30)
"""A clock that differs from a steady one by more than this between two looks was set, not slewed."""
NO_STEP = timedelta(0)


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
