"""Facts about what destinations were asked to keep for good, and what they reported."""

from collections.abc import Mapping
from datetime import datetime

import sqlalchemy as sa
import structlog
from pydantic import TypeAdapter

from node.core.commitment import COMMITTED, Transaction
from node.core.identity import derived_uid
from node.state import outbox, schema
from node.state.ledger import note
from node.state.rows import DeliveryRow

log = structlog.get_logger()

OUTCOMES: TypeAdapter[dict[str, int]] = TypeAdapter(dict[str, int])


def transactions_of(connection: sa.Connection, delivery: DeliveryRow) -> list[Transaction]:
    """What was asked since the delivery was accepted, by number; an earlier sending's transactions do not count."""
    table = schema.commitment
    query = sa.select(table).where(table.c.delivery_id == delivery.id, table.c.accepted_at == delivery.changed_at)
    return [
        Transaction(
            row.transaction_uid,
            row.number,
            row.asked_at,
            None if row.outcomes is None else OUTCOMES.validate_json(row.outcomes),
        )
        for row in connection.execute(query.order_by(table.c.number))
    ]


def plan(connection: sa.Connection, delivery: DeliveryRow, number: int) -> str:
    """The UID of the transaction of that number, recorded before anybody hears of it; again gives the same."""
    uid = derived_uid("commitment", delivery.id, delivery.changed_at.isoformat(), str(number))
    table = schema.commitment
    if connection.execute(sa.select(table.c.number).where(table.c.transaction_uid == uid)).first() is None:
        values = {"delivery_id": delivery.id, "accepted_at": delivery.changed_at, "number": number}
        connection.execute(table.insert().values(transaction_uid=uid, **values))
    return uid


def record_asked(connection: sa.Connection, transaction_uid: str, now: datetime) -> None:
    """The destination took the request."""
    table = schema.commitment
    connection.execute(table.update().where(table.c.transaction_uid == transaction_uid).values(asked_at=now))


def take_report(
    connection: sa.Connection, peer: str, transaction_uid: str, outcomes: Mapping[str, int], now: datetime
) -> DeliveryRow | None:
    """Record what a peer reports on a transaction; gives the delivery that it is about.

    None where nothing changed: the transaction was not asked of that peer, or it has reported before.
    """
    table = schema.commitment
    query = sa.select(table.c.delivery_id).where(table.c.transaction_uid == transaction_uid)
    found = connection.execute(query).scalar()
    # Locked, so that it stays as it is read here until the caller has drawn its conclusion.
    connection.execute(sa.select(schema.delivery.c.id).where(schema.delivery.c.id == found).with_for_update())
    delivery = None if found is None else outbox.get_delivery(connection, found)
    if delivery is None or delivery.destination != peer:
        log.warning("report-on-another-transaction", peer=peer, transaction=transaction_uid)
        return None
    unreported = (table.c.transaction_uid == transaction_uid, table.c.outcomes.is_(None))
    values = {"outcomes": OUTCOMES.dump_json(dict(outcomes)).decode(), "reported_at": now}
    if connection.execute(table.update().where(*unreported).values(values)).rowcount != 1:
        log.warning("report-repeated", peer=peer, transaction=transaction_uid)
        return None
    failed = sum(outcome != COMMITTED for outcome in outcomes.values())
    words = f"{delivery.destination}: {len(outcomes) - failed} objects committed, {failed} not"
    note(connection, now, "commitment-reported", words, job_id=delivery.job_id, delivery_id=delivery.id)
    return delivery
