"""When a delivery is tried again."""

from datetime import datetime, timedelta

from node.core.retry import GiveUp, TryAgain, after_send_failed
from node.settings import SendingTable
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
