"""Chooses what a worker does next: what the queue hands it, but every third time the job that waits longest."""

import itertools
import threading
from datetime import datetime

import sqlalchemy as sa

from node.state import pauses, work
from node.state.queue import Queue
from node.state.rows import JobRow
from node.state.work import Ticket

OLDEST_EVERY = 3
"""Every so-many-eth pick takes the oldest: urgent work comes first, and routine never starves (design section 4)."""


class Choice:
    """The picks of one process, counted."""

    def __init__(self, queue: Queue) -> None:
        self._queue = queue
        self._picks = itertools.count(1)
        self._lock = threading.Lock()

    def choose(self, connection: sa.Connection, ticket: Ticket, now: datetime) -> tuple[JobRow, Ticket] | None:
        """The job to start with its ticket, or None where the one handed over is stale or paused.

        Where the oldest overtakes, both get their next turn in this transaction: the tickets in the queue are stale
        from then on, so nobody else starts either, and the one that was overtaken is enqueued again.
        """
        job = work.get_job(connection, ticket.job_id)
        if not work.is_due(job, ticket) or pauses.is_job_paused(connection, job):
            return None
        with self._lock:
            is_for_the_oldest = next(self._picks) % OLDEST_EVERY == 0
        older = self._oldest(connection, job, ticket) if is_for_the_oldest else None
        if older is None:
            return job, ticket
        taken = work.next_turn(connection, older, work.ticket_of(older), now)
        if taken is None or not self._queue.stage_again(connection, job, now):
            return job, ticket
        return work.get_job(connection, older.id), taken

    @staticmethod
    def _oldest(connection: sa.Connection, job: JobRow, ticket: Ticket) -> JobRow | None:
        """The longest waiting job of this stage, where it is older than the one at hand and free to start."""
        first = work.longest_waiting(connection, ticket.stage)
        return first if first is not None and first.created_at < job.created_at else None
