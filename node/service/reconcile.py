"""Puts back what the queue has lost: every job and delivery that is due must have a live workflow."""

from datetime import datetime, timedelta

import structlog

from node.core.pausable import Pausable
from node.state import outbox, pauses, work
from node.state.ledger import Ledger
from node.state.queue import Queue
from node.state.work import Ticket

log = structlog.get_logger()

SETTLED = timedelta(seconds=20)
"""What changed more recently is left alone: its workflow may be ending or starting at this moment. What changed in the
future did so before the clock was set back."""


def reconcile(ledger: Ledger, queue: Queue, now: datetime) -> int:
    """Enqueue again what has no live workflow; returns how much that was. Doing so twice changes nothing."""
    with ledger.read() as connection:
        jobs = [
            job
            for job in work.unfinished_jobs(connection)
            if abs(now - job.changed_at) > SETTLED and not pauses.is_job_paused(connection, job)
        ]
        deliveries = [
            one
            for one in outbox.open_deliveries(connection)
            if abs(now - one.changed_at) > SETTLED
            and not pauses.is_paused(connection, Pausable.DESTINATION, one.destination)
        ]
    stranded = 0
    for job in jobs:
        if queue.is_live(queue.stage_id(job.id, job.run, job.stage, job.turn)):
            continue
        with ledger.write() as connection:
            here = Ticket(job.id, job.run, job.stage, job.turn)
            again = work.next_turn(connection, work.get_job(connection, job.id), here, now)
            if again is not None:
                queue.stage(
                    connection, job.id, run=again.run, stage=again.stage, turn=again.turn, priority=job.priority
                )
                stranded += 1
    for delivery in deliveries:
        if queue.is_live(queue.delivery_id(delivery.id, delivery.attempt)):
            continue
        with ledger.write() as connection:
            if outbox.renew(connection, delivery, now):
                queue.next_attempt(connection, delivery)
                stranded += 1
    if stranded:
        log.warning("stranded-work-put-back", count=stranded)
    return stranded
