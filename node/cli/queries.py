"""What the commands that show ask the ledger."""

import sqlalchemy as sa

from node.core.job import DeliveryState
from node.state import schema

Query = sa.Select[tuple[object, ...]]


def studies(limit: int) -> Query:
    """Those that arrived, the newest first."""
    table = schema.study
    images = sa.select(sa.func.count()).where(schema.instance.c.study_id == table.c.id).scalar_subquery()
    query = sa.select(
        table.c.id, table.c.state, table.c.why, images.label("instances"), table.c.calling_ae, table.c.called_ae,
        table.c.accession, table.c.first_at, table.c.last_at, table.c.completed_at, table.c.incomplete,
        table.c.study_uid,
    )  # fmt: skip
    return query.order_by(table.c.first_at.desc()).limit(limit)


def instances(study_id: str) -> Query:
    """Those of one study, as they came."""
    table = schema.instance
    query = sa.select(
        table.c.sop_uid, table.c.kind, table.c.modality, table.c.series_uid, table.c.transfer_syntax_uid,
        table.c.size_bytes, table.c.sha256, table.c.in_force, table.c.path, table.c.why, table.c.received_at,
    )  # fmt: skip
    return query.where(table.c.study_id == study_id).order_by(table.c.id)


def jobs(limit: int) -> Query:
    """The newest first."""
    table = schema.job
    query = sa.select(
        table.c.id, table.c.state, table.c.stage, table.c.run, table.c.route, table.c.model, table.c.study_id,
        table.c.reason, table.c.message, table.c.created_at, table.c.changed_at,
    )  # fmt: skip
    return query.order_by(table.c.created_at.desc()).limit(limit)


def attempts(job_id: str) -> Query:
    """Those of one job, in their order."""
    table = schema.attempt
    query = sa.select(
        table.c.run, table.c.stage, table.c.outcome, table.c.started_at, table.c.ended_at, table.c.peak_mb,
        table.c.executor, table.c.message,
    )  # fmt: skip
    return query.where(table.c.job_id == job_id).order_by(table.c.id)


def events(job_id: str) -> Query:
    """The history of one job."""
    table = schema.event
    query = sa.select(table.c.at, table.c.name, table.c.message)
    return query.where(table.c.job_id == job_id).order_by(table.c.id)


def deliveries(limit: int, state: DeliveryState | None = None, destination: str = "") -> Query:
    """The newest first; those in a state or for a destination alone, where that is asked for."""
    table = schema.delivery
    query = sa.select(
        table.c.id, table.c.state, table.c.destination, table.c.job_id, table.c.run, table.c.attempt, table.c.next_at,
        table.c.message, table.c.changed_at,
    )  # fmt: skip
    if state:
        query = query.where(table.c.state == state.value)
    if destination:
        query = query.where(table.c.destination == destination)
    return query.order_by(table.c.created_at.desc()).limit(limit)


def associations(limit: int, *, troubled: bool = False) -> Query:
    """The newest first. troubled: only those that there is something to say of."""
    table = schema.association
    query = sa.select(table).order_by(table.c.started_at.desc()).limit(limit)
    return query.where(schema.TROUBLED) if troubled else query
