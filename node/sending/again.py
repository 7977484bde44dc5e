"""When a delivery is tried again."""

from datetime import datetime, timedelta

from node.core.job import DeliveryState
from node.core.retry import GiveUp, TryAgain, after_send_failed
from node.settings import SendingTable
from node.state.rows import DeliveryRow


def after_failure(
    delivery: DeliveryRow, now: datetime, settings: SendingTable, pause_s: float = 0
) -> TryAgain | GiveUp:
    """When, or that it is given up, after a destination could not be sent to, or asked for what it had accepted.

    pause_s: so long it asked to be left alone; it has its way up to the longest pause.
    """
    is_accepted = delivery.state is DeliveryState.ACCEPTED
    verdict = after_send_failed(
        attempt=delivery.attempt,
        first_try=delivery.changed_at if is_accepted else delivery.first_try_at or now,
        now=now,
        first_s=settings.backoff_first_s,
        max_s=settings.backoff_max_s,
        give_up=timedelta(days=settings.give_up_days),
    )
    if isinstance(verdict, GiveUp):
        return verdict
    return TryAgain(max(verdict.after, timedelta(seconds=min(pause_s, settings.backoff_max_s))))
