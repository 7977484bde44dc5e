"""Lists that an operator looks through: what is on its way out, who called, and how a model did lately."""

from dataclasses import dataclass, fields
from datetime import datetime

import sqlalchemy as sa

from node.core.job import DeliveryState, JobState, Stage
from node.state import schema
from node.state.rows import DeliveryRow

PAGE = 50
MOST_OPEN = 500


@dataclass(frozen=True)
class OnItsWay:
    """A delivery, and whose results it carries."""

    delivery: DeliveryRow
    study_id: str
    route: str


Counted = dict[tuple[DeliveryState, str], int]
"""How many deliveries are in a state, by destination."""


def count_on_their_way(connection: sa.Connection) -> Counted:
    """Deliveries that are not done with, the parked first."""
    found: Counted = {}
    for state in (DeliveryState.PARKED, DeliveryState.SENDING, DeliveryState.WAITING, DeliveryState.ACCEPTED):
        name = schema.delivery.c.destination
        query = sa.select(name, sa.func.count()).where(*_open(state)).group_by(name).order_by(name)
        found |= {(state, destination): count for destination, count in connection.execute(query)}
    return found


def on_their_way(connection: sa.Connection, most: int = MOST_OPEN) -> list[OnItsWay]:
    """Deliveries that wait, are under way or parked, or whose arrival is not proven yet: the parked first, then the
    longest waiting. most: of each state and destination, so that what one has too much of hides nothing of another."""
    found: list[OnItsWay] = []
    for state, destination in count_on_their_way(connection):
        delivery, job = schema.delivery, schema.job
        query = sa.select(delivery, job.c.study_id, job.c.route).select_from(delivery.join(job))
        query = query.where(*_open(state), delivery.c.destination == destination)
        rows = connection.execute(query.order_by(delivery.c.changed_at).limit(most)).mappings()
        found += map(_on_its_way, rows)
    return found


def deliveries(
    connection: sa.Connection,
    state: DeliveryState | None = None,
    destination: str = "",
    before: tuple[datetime, str] | None = None,
) -> list[OnItsWay]:
    """One page of all deliveries and one more where there is one, the newest first; only those in a state or for a
    destination if asked."""
    delivery, job = schema.delivery, schema.job
    query = sa.select(delivery, job.c.study_id, job.c.route).select_from(delivery.join(job))
    if state is not None:
        query = query.where(delivery.c.state == state.value)
    if destination:
        query = query.where(delivery.c.destination == destination)
    if before:
        at, identity = before
        older = sa.and_(delivery.c.created_at == at, delivery.c.id < identity)
        query = query.where(sa.or_(delivery.c.created_at < at, older))
    newest = query.order_by(delivery.c.created_at.desc(), delivery.c.id.desc()).limit(PAGE + 1)
    return [_on_its_way(row) for row in connection.execute(newest).mappings()]


def _on_its_way(row: sa.RowMapping) -> OnItsWay:
    own = {column.name: row[column.name] for column in schema.delivery.columns}
    own["state"] = DeliveryState(row["state"])
    return OnItsWay(DeliveryRow(**own), row["study_id"], row["route"])


def _open(state: DeliveryState) -> tuple[sa.ColumnElement[bool], ...]:
    """Of a state, those that are not done with: what is accepted is not as long as its arrival is to be proven."""
    of_state = schema.delivery.c.state == state.value
    return (of_state, schema.delivery.c.next_at.is_not(None)) if state is DeliveryState.ACCEPTED else (of_state,)


@dataclass(frozen=True)
class Call:
    """An association that ended. refused: instances that were not taken."""

    id: str
    calling_ae: str
    called_ae: str
    address: str
    started_at: datetime
    ended_at: datetime | None
    outcome: str
    why: str
    stored: int
    refused: int


def calls(
    connection: sa.Connection, *, rejected: bool = False, before: tuple[datetime, str] | None = None
) -> list[Call]:
    """One page of associations and one more where there is one, the newest first; only those turned away if asked."""
    table = schema.association
    names = [one.name for one in fields(Call)]
    query = sa.select(*(table.c[name] for name in names))
    if rejected:
        query = query.where(table.c.outcome == "rejected")
    if before:
        at, identity = before
        older = sa.and_(table.c.started_at == at, table.c.id < identity)
        query = query.where(sa.or_(table.c.started_at < at, older))
    rows = connection.execute(query.order_by(table.c.started_at.desc(), table.c.id.desc()).limit(PAGE + 1))
    return [Call(**row) for row in rows.mappings()]


@dataclass(frozen=True)
class ModelRun:
    """A job of a model. infer_s: what its last attempt at inference took; peak_mb: and needed."""

    job_id: str
    study_id: str
    state: JobState
    reason: str | None
    message: str
    changed_at: datetime
    infer_s: float | None
    peak_mb: int | None


def runs_of(connection: sa.Connection, model: str, state: JobState | None = None, limit: int = 10) -> list[ModelRun]:
    """A model's last jobs, the newest first. state: only those in it."""
    table, attempt = schema.job, schema.attempt
    query = sa.select(table).where(table.c.model == model)
    if state is not None:
        query = query.where(table.c.state == state.value)
    jobs = connection.execute(query.order_by(table.c.changed_at.desc()).limit(limit)).all()
    tried = sa.select(attempt).where(
        attempt.c.job_id.in_([one.id for one in jobs]), attempt.c.stage == Stage.INFER.value
    )
    last = {row.job_id: row for row in connection.execute(tried.order_by(attempt.c.id)) if row.ended_at is not None}
    found = []
    for one in jobs:
        row = last.get(one.id)
        seconds = None if row is None else (row.ended_at - row.started_at).total_seconds()
        peak = None if row is None else row.peak_mb
        state = JobState(one.state)
        found.append(ModelRun(one.id, one.study_id, state, one.reason, one.message, one.changed_at, seconds, peak))
    return found
