"""When a delivery is tried again, and who is told to do it."""

from datetime import datetime, timedelta

import sqlalchemy as sa

from node.core.retry import GiveUp, TryAgain, after_send_failed
from node.settings import SendingTable
from node.state import work
from node.state.queue import Queue
from node.state.rows import DeliveryRow


def after_failure(delivery: DeliveryRow, now: datetime, settings: SendingTable) -> TryAgain | GiveUp:
    """When, or that it is given up, after a destination could not be sent to or asked."""
    return after_send_failed(
        attempt=delivery.attempt,
        first_try=delivery.first_try_at or now,
        now=now,
        first_s=settings.backoff_first_s,
        max_s=settings.backoff_max_s,
        give_up=timedelta(days=settings.give_up_days),
    )


def enqueue_again(queue: Queue, connection: sa.Connection, delivery: DeliveryRow, after: timedelta) -> None:
    """Have the next attempt made after so long, in the transaction that records why."""
    queue.delivery(
        connection,
        delivery.id,
        destination=delivery.destination,
        attempt=delivery.attempt + 1,
        priority=work.get_job(connection, delivery.job_id).priority,
        after=after,
    )
