"""Sees that every job which ended without findings is announced where that is wanted, for as long as results wait."""

from collections.abc import Callable
from datetime import datetime, timedelta

from node.jobs.notices import ANNOUNCED, notice_run
from node.service.reconcile import SETTLED
from node.state import outbox, work
from node.state.ledger import Ledger
from node.state.queue import Queue

ASK_AGAIN = timedelta(minutes=5)


class Unannounced:
    """destinations: those that want notices. give_up: after so long a job that cannot be announced is left alone."""

    def __init__(
        self,
        ledger: Ledger,
        queue: Queue,
        destinations: frozenset[str],
        give_up: timedelta,
        clock: Callable[[], datetime],
    ) -> None:
        self._ledger, self._queue, self._destinations = ledger, queue, destinations
        self._give_up, self._clock = give_up, clock

    def look(self) -> None:
        """Have a worker make the notices that are not there; each once in five minutes."""
        if not self._destinations:
            return
        now = self._clock()
        turn = int(now.timestamp() // ASK_AGAIN.total_seconds())
        with self._ledger.read() as connection:
            ended = [
                job
                for job in work.jobs_ended(connection, ANNOUNCED, since=now - self._give_up)
                if job.changed_at < now - SETTLED
                and self._destinations.intersection(job.destinations)
                and not outbox.results_of(connection, job.id, notice_run(job.run))
            ]
        for job in ended:
            with self._ledger.write() as connection:
                self._queue.notice(connection, job, turn=turn)
