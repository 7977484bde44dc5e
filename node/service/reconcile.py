"""Puts back what the queue has lost: every job and delivery that is due must have a live workflow."""

from datetime import datetime, timedelta

import structlog

from node.core.job import DeliveryState
from node.core.pausable import Pausable
from node.state import outbox, pauses, work
from node.state.ledger import Ledger
from node.state.queue import Queue

log = structlog.get_logger()

SETTLED = timedelta(seconds=20)
"""What changed more recently is left alone: its workflow may be ending or starting at this moment. What changed in the
future did so before the clock was set back."""
BEGUN_WITHIN = timedelta(minutes=10)
"""What a process was handed longer ago and has not begun is lost to it: the engine could not ask its tables what it had
just taken out of the queue. It waits so long at most where another stage must be alone there, and is then stale."""


def reconcile(ledger: Ledger, queue: Queue, now: datetime) -> int:
    """Enqueue again what has no live workflow; returns how much that was. Doing so twice changes nothing."""
    with ledger.read() as connection:
        paused = {(one.kind, one.name) for one in pauses.paused(connection)}
        begun = work.under_way(connection)
        jobs = [
            (job, (job.id, job.run, job.stage) in begun)
            for job in work.unfinished_jobs(connection)
            if abs(now - job.changed_at) > SETTLED
            and paused.isdisjoint([(Pausable.ROUTE, job.route), (Pausable.MODEL, job.model)])
        ]
        deliveries = [
            one
            for one in outbox.open_deliveries(connection)
            if abs(now - one.changed_at) > SETTLED and (Pausable.DESTINATION, one.destination) not in paused
        ]
    stranded, lost_before = 0, now - BEGUN_WITHIN
    staged = {queue.stage_id(work.ticket_of(job)): (job, is_begun) for job, is_begun in jobs}
    live = queue.live({key: None if is_begun else lost_before for key, (_, is_begun) in staged.items()})
    for job, _ in (one for key, one in staged.items() if key not in live):
        with ledger.write() as connection:
            stranded += queue.stage_again(connection, job, now)
    tried = {queue.delivery_id(one.id, one.attempt): one for one in deliveries}
    live = queue.live({key: lost_before if one.state is DeliveryState.WAITING else None for key, one in tried.items()})
    for delivery in (one for key, one in tried.items() if key not in live):
        with ledger.write() as connection:
            if outbox.renew(connection, delivery, now):
                queue.next_attempt(connection, delivery)
                stranded += 1
    if stranded:
        log.warning("stranded-work-put-back", count=stranded)
    return stranded
