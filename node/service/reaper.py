"""Finds processes that give no sign of life any more, and hands their work to the others."""

import time
from collections.abc import Callable
from datetime import datetime

import structlog

from node.state.heartbeats import Pulse, pulses, take_for_dead
from node.state.ledger import Ledger, note

log = structlog.get_logger()

LOOKS_PER_LIMIT = 6


class Reaper:
    """Looks at the signs of life, often. A wrong verdict loses nothing: work is then done twice and adopted once.

    Silence is counted from look to look. A look that comes late, because this process or the whole machine stood still,
    counts for no more than two: the others stood still as well, and are given time.
    """

    def __init__(
        self,
        ledger: Ledger,
        recover: Callable[[str], int],
        *,
        dead_after_s: float,
        clock: Callable[[], datetime],
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """recover: puts what an executor left unfinished back into the queues, and says how much that was."""
        self._ledger, self._recover, self._dead_after_s = ledger, recover, dead_after_s
        self._clock, self._monotonic_s = clock, monotonic_s
        self.every_s = dead_after_s / LOOKS_PER_LIMIT
        self._looked_s = monotonic_s()
        self._beats: dict[str, int] = {}
        self._silent_s: dict[str, float] = {}

    def look(self) -> None:
        """Look once; what a silent process left is recovered once for each time that it falls silent."""
        with self._ledger.read() as connection:
            found = pulses(connection)
        now_s = self._monotonic_s()
        passed_s, self._looked_s = min(now_s - self._looked_s, 2 * self.every_s), now_s
        for pulse in found:
            is_silent = self._beats.get(pulse.executor) == pulse.beats
            self._beats[pulse.executor] = pulse.beats
            self._silent_s[pulse.executor] = self._silent_s[pulse.executor] + passed_s if is_silent else 0.0
            if self._silent_s[pulse.executor] >= self._dead_after_s and not pulse.is_taken_for_dead:
                self._reap(pulse)

    def _reap(self, pulse: Pulse) -> None:
        """Recover first, note it then: both may happen twice."""
        count = self._recover(pulse.executor)
        with self._ledger.write() as connection:
            if take_for_dead(connection, pulse):
                words = f"{pulse.executor} gave no sign of life for {self._dead_after_s:.0f} s; {count} put back"
                note(connection, self._clock(), "process-taken-for-dead", words)
        log.warning("process-taken-for-dead", executor=pulse.executor, put_back=count)
