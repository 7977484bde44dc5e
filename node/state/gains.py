"""What the ledger's history gained since the last look: events, stages that ended, results that arrived."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from node.core.batches import in_batches
from node.core.job import DeliveryEvent
from node.state import schema
from node.state.overview import seconds_to_arrival

AT_ONCE = 500
ARRIVALS = frozenset(f"delivery-{one.value}" for one in (DeliveryEvent.ACCEPTED, DeliveryEvent.PROVEN))


@dataclass(frozen=True)
class StageEnded:
    """An attempt at a stage, how it ended (done, refused, error, crashed …) and how long it took."""

    stage: str
    outcome: str
    seconds: float


@dataclass(frozen=True)
class Gained:
    """events: how many of each name. arrived_s: from a study's last image until its results had arrived, each."""

    events: Mapping[str, int]
    stages: Sequence[StageEnded]
    arrived_s: Sequence[float]


class Gains:
    """Looks again and again, from one thread at a time; each thing is told once. What was there before is not told.

    Numbers of rows tell what is new: transactions that write come one after another.
    """

    def __init__(self, connection: sa.Connection) -> None:
        self._last_event = _newest(connection, schema.event)
        self._last_attempt = _newest(connection, schema.attempt)
        self._open = _open_attempts(connection)

    def look(self, connection: sa.Connection) -> Gained:
        """What is new."""
        event = schema.event.c
        query = sa.select(event.id, event.name, event.delivery_id).where(event.id > self._last_event)
        rows = list(connection.execute(query))
        self._last_event = max((row.id for row in rows), default=self._last_event)
        arrived = sorted({row.delivery_id for row in rows if row.name in ARRIVALS and row.delivery_id})
        return Gained(
            events=Counter(row.name for row in rows),
            stages=self._ended(connection),
            arrived_s=[s for some in in_batches(arrived, AT_ONCE) for s in seconds_to_arrival(connection, some)],
        )

    def _ended(self, connection: sa.Connection) -> list[StageEnded]:
        attempt = schema.attempt.c
        begun = set(connection.execute(sa.select(attempt.id).where(attempt.id > self._last_attempt)).scalars())
        self._last_attempt = max(begun, default=self._last_attempt)
        begun |= self._open
        self._open = _open_attempts(connection)
        columns = sa.select(attempt.stage, attempt.outcome, attempt.started_at, attempt.ended_at)
        return [
            StageEnded(row.stage, row.outcome, max((row.ended_at - row.started_at).total_seconds(), 0.0))
            for some in in_batches(sorted(begun - self._open), AT_ONCE)
            for row in connection.execute(columns.where(attempt.id.in_(some)))
        ]


def _newest(connection: sa.Connection, table: sa.Table) -> int:
    return int(connection.execute(sa.select(sa.func.max(table.c.id))).scalar_one() or 0)


def _open_attempts(connection: sa.Connection) -> set[int]:
    attempt = schema.attempt.c
    return set(connection.execute(sa.select(attempt.id).where(attempt.ended_at.is_(None))).scalars())
