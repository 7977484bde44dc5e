"""Facts about results and their deliveries: what is to be sent where, what was tried, what was answered."""

from collections.abc import Collection, Sequence
from datetime import datetime

import sqlalchemy as sa

from node.core.forms import REJECTION, rejection_kind, rendition_of
from node.core.identity import short_id
from node.core.job import DELIVERY_TRANSITIONS, DeliveryEvent, DeliveryState, Stage
from node.errors import NotFound
from node.state import schema
from node.state.ledger import note
from node.state.rows import DeliveryRow, JobRow, ResultRow

ACCEPTED_ONCE = ("accepted", "resend")


def add_results(connection: sa.Connection, results: Sequence[ResultRow]) -> None:
    """Record the objects of a run; they are immutable from here on."""
    if results:
        connection.execute(schema.result.insert(), [vars(one) for one in results])


def results_of(connection: sa.Connection, job_id: str, run: int) -> list[ResultRow]:
    """Objects of one run in sending order."""
    table = schema.result
    query = sa.select(table).where(table.c.job_id == job_id, table.c.run == run).order_by(table.c.position)
    return [ResultRow(**row) for row in connection.execute(query).mappings()]


def replaced_by(connection: sa.Connection, job: JobRow) -> list[ResultRow]:
    """Objects of the newest earlier run that the job's present run replaces: its own, or of a job it superseded."""
    table = schema.result.join(schema.job)
    query = (
        sa.select(schema.result)
        .select_from(table)
        .where(schema.job.c.study_id == job.study_id, schema.job.c.route == job.route, schema.result.c.run > 0)
        .where(sa.or_(schema.job.c.id != job.id, schema.result.c.run < job.run))
        .where(schema.job.c.created_at <= job.created_at)
        .order_by(schema.job.c.created_at.desc(), schema.result.c.run.desc(), schema.result.c.position)
    )
    rows = [ResultRow(**row) for row in connection.execute(query).mappings()]
    return [row for row in rows if (row.job_id, row.run) == (rows[0].job_id, rows[0].run)]


def held_of_earlier(connection: sa.Connection, job: JobRow, run: int, destination: str) -> list[ResultRow]:
    """What a destination accepted of earlier runs, notices among them, that this run of a job replaces, and that no
    rejection note has named yet; the oldest first."""
    kind = rejection_kind(destination)
    order = (schema.job.c.created_at, sa.func.abs(schema.result.c.run), schema.result.c.position)
    earlier = sa.select(schema.result, *order[:2]).select_from(schema.result.join(schema.job))
    earlier = earlier.where(*_replaced_runs(job, run, schema.result.c.run))
    noted = list(connection.execute(earlier.where(schema.result.c.kind == kind).order_by(*order)).mappings())
    sent, delivery = schema.sent.c, schema.delivery.c
    accepted = sa.exists().where(sent.delivery_id == delivery.id, sent.outcome.in_(ACCEPTED_ONCE))
    accepted = accepted.where(sent.sop_uid == schema.result.c.sop_uid, delivery.job_id == schema.result.c.job_id)
    accepted = accepted.where(delivery.destination == destination)
    held = connection.execute(earlier.where(accepted).order_by(*order)).mappings()
    since = tuple(noted[-1].values())[-2:] if noted else None
    columns = schema.result.c.keys()
    return [
        ResultRow(**{name: row[name] for name in columns})
        for row in held
        if rendition_of(row["kind"]) != REJECTION and (since is None or tuple(row.values())[-2:] >= since)
    ]


def end_proof_of_earlier(connection: sa.Connection, job: JobRow, run: int, destination: str) -> None:
    """An archive hides what it was told to reject: it is asked no more whether it holds that."""
    table = schema.delivery
    earlier = sa.select(table.c.id).select_from(table.join(schema.job)).where(*_replaced_runs(job, run, table.c.run))
    accepted = (table.c.state == DeliveryState.ACCEPTED.value, table.c.destination == destination)
    connection.execute(table.update().where(table.c.id.in_(earlier), *accepted).values(next_at=None))


def _replaced_runs(job: JobRow, run: int, of_row: sa.ColumnElement[int]) -> tuple[sa.ColumnElement[bool], ...]:
    """Earlier runs of a job, the notice of this one, and jobs that it superseded."""
    return (
        schema.job.c.study_id == job.study_id,
        schema.job.c.route == job.route,
        schema.job.c.created_at <= job.created_at,
        sa.or_(schema.job.c.id != job.id, sa.func.abs(of_row) < run, of_row == -run),
    )


def add_delivery(
    connection: sa.Connection, job: JobRow, destination: str, now: datetime, *, run: int | None = None
) -> DeliveryRow:
    """A delivery to one destination, due now, of what is kept under `run`: the job's present one if not given."""
    number = job.run if run is None else run
    identity = short_id("d", job.key, str(number), destination)
    connection.execute(
        schema.delivery.insert().values(
            id=identity,
            job_id=job.id,
            run=number,
            destination=destination,
            state=DeliveryState.WAITING.value,
            attempt=1,
            created_at=now,
            next_at=now,
            changed_at=now,
        )
    )
    return get_delivery(connection, identity)


def get_delivery(connection: sa.Connection, key: str) -> DeliveryRow:
    """The delivery of that id. Raises NotFound."""
    row = connection.execute(sa.select(schema.delivery).where(schema.delivery.c.id == key)).mappings().first()
    if row is None:
        raise NotFound(f"no delivery {key!r} is known; `isocenter deliveries` lists them")
    return DeliveryRow.of(row)


def deliveries_of(connection: sa.Connection, job_id: str) -> list[DeliveryRow]:
    """Every delivery of a job, all runs."""
    query = sa.select(schema.delivery).where(schema.delivery.c.job_id == job_id).order_by(schema.delivery.c.created_at)
    return [DeliveryRow.of(row) for row in connection.execute(query).mappings()]


def open_deliveries(connection: sa.Connection) -> list[DeliveryRow]:
    """Deliveries that wait or are under way, or whose proof of arrival does."""
    table = schema.delivery
    states = [DeliveryState.WAITING.value, DeliveryState.SENDING.value]
    proof = sa.and_(table.c.state == DeliveryState.ACCEPTED.value, table.c.next_at.is_not(None))
    query = sa.select(table).where(sa.or_(table.c.state.in_(states), proof))
    return [DeliveryRow.of(row) for row in connection.execute(query).mappings()]


def change_delivery(
    connection: sa.Connection,
    delivery: DeliveryRow,
    happened: DeliveryEvent,
    now: datetime,
    *,
    message: str = "",
    next_at: datetime | None = None,
) -> bool:
    """Apply an event by compare-and-set on (delivery, attempt); False where it is stale or the table forbids it.

    A postponed or resent delivery gets the next attempt's number, as does an accepted one whose proof is due at
    `next_at`: a workflow of the old one then finds nothing due.
    """
    after = DELIVERY_TRANSITIONS.get((delivery.state, happened))
    if after is None:
        return False
    table = schema.delivery
    values: dict[str, object] = {"state": after.value, "changed_at": now, "next_at": next_at, "message": message[:1000]}
    has_proof_due = happened is DeliveryEvent.ACCEPTED and next_at is not None
    if happened in (DeliveryEvent.POSTPONED, DeliveryEvent.RESENT) or has_proof_due:
        values["attempt"] = delivery.attempt + 1
    if happened is DeliveryEvent.RESENT:
        values |= {"first_try_at": None, "lacking": 0}
    if happened is DeliveryEvent.STARTED and delivery.first_try_at is None:
        values["first_try_at"] = now
    same = (
        table.c.id == delivery.id,
        table.c.attempt == delivery.attempt,
        table.c.state == delivery.state.value,
    )
    if connection.execute(table.update().where(*same).values(values)).rowcount != 1:
        return False
    words = f"{delivery.destination}: {message}" if message else delivery.destination
    if happened is not DeliveryEvent.STARTED:
        note(connection, now, f"delivery-{happened.value}", words, job_id=delivery.job_id, delivery_id=delivery.id)
    return True


def drop_outdated(connection: sa.Connection, job: JobRow, now: datetime) -> None:
    """Drop what was not delivered yet of earlier runs of this job, and of jobs that it superseded: newer results of
    the same route go instead."""
    table = schema.delivery.join(schema.job)
    query = (
        sa.select(schema.delivery)
        .select_from(table)
        .where(schema.job.c.study_id == job.study_id, schema.job.c.route == job.route)
        .where(sa.or_(schema.delivery.c.job_id != job.id, schema.delivery.c.run < job.run))
    )
    for row in connection.execute(query).mappings().all():
        message = f"newer results go instead: job {job.id}, run {job.run}"
        change_delivery(connection, DeliveryRow.of(row), DeliveryEvent.DROPPED, now, message=message)


def newer_results(connection: sa.Connection, delivery: DeliveryRow) -> tuple[str, int] | None:
    """Job and run of the newest results of the same route, where these are not the delivery's own: its own are out of
    date then. By the order in which work began, not by the clock, which may have been set back."""
    attempt, job, own = schema.attempt, schema.job, schema.job.alias()
    began = sa.select(sa.func.max(attempt.c.id))
    began = began.where(attempt.c.job_id == delivery.job_id, attempt.c.run == abs(delivery.run))
    same = sa.and_(own.c.study_id == job.c.study_id, own.c.route == job.c.route, own.c.id == delivery.job_id)
    query = (
        sa.select(attempt.c.job_id, attempt.c.run)
        .select_from(attempt.join(job).join(own, same))
        .where(attempt.c.stage == Stage.ENCODE.value, attempt.c.outcome == "done")
        .where(attempt.c.id >= began.scalar_subquery())
        .where(sa.or_(attempt.c.job_id != delivery.job_id, attempt.c.run != delivery.run))
        .order_by(attempt.c.id.desc())
    )
    row = connection.execute(query.limit(1)).first()
    return None if row is None else (row.job_id, row.run)


def is_earlier_under_way(connection: sa.Connection, job: JobRow, destination: str) -> bool:
    """Whether results of earlier runs, which the job's present run replaces, are being sent at this moment."""
    table = schema.delivery
    query = (
        sa.select(table.c.id)
        .select_from(table.join(schema.job))
        .where(schema.job.c.study_id == job.study_id, schema.job.c.route == job.route)
        .where(table.c.destination == destination, table.c.state == DeliveryState.SENDING.value)
        .where(sa.or_(table.c.job_id != job.id, table.c.run < job.run))
    )
    return connection.execute(query).first() is not None


def those_for(connection: sa.Connection, destination: str, state: DeliveryState) -> list[DeliveryRow]:
    """Deliveries to one destination that are in that state, longest first."""
    table = schema.delivery
    query = sa.select(table).where(table.c.destination == destination, table.c.state == state.value)
    return [DeliveryRow.of(row) for row in connection.execute(query.order_by(table.c.created_at)).mappings()]


def renew(connection: sa.Connection, delivery: DeliveryRow, now: datetime, *, afresh: bool = False) -> bool:
    """Make an open delivery due under the next attempt's number; False where it changed meanwhile.

    afresh: its time to be tried begins anew.
    """
    table = schema.delivery
    same = (table.c.id == delivery.id, table.c.attempt == delivery.attempt, table.c.state == delivery.state.value)
    after = DeliveryState.WAITING if delivery.state is DeliveryState.SENDING else delivery.state
    values = {"state": after.value, "attempt": delivery.attempt + 1, "next_at": now}
    if afresh:
        values["first_try_at"] = None
    if after is not DeliveryState.ACCEPTED:  # since when its arrival is unproven
        values["changed_at"] = now
    return connection.execute(table.update().where(*same).values(values)).rowcount == 1


def record_sent(
    connection: sa.Connection,
    delivery_id: str,
    sop_uid: str,
    now: datetime,
    *,
    outcome: str,
    status: int | None,
    message: str,
) -> None:
    """Record the answer to one object; a later answer replaces it."""
    table = schema.sent
    key = (table.c.delivery_id == delivery_id, table.c.sop_uid == sop_uid)
    values = {"outcome": outcome, "status": status, "message": message[:1000], "at": now}
    if connection.execute(table.update().where(*key).values(values)).rowcount == 0:
        connection.execute(table.insert().values(delivery_id=delivery_id, sop_uid=sop_uid, **values))


def accepted_objects(connection: sa.Connection, delivery_id: str) -> set[str]:
    """Objects of a delivery that the destination has accepted: they are not sent again."""
    table = schema.sent
    query = sa.select(table.c.sop_uid).where(table.c.delivery_id == delivery_id, table.c.outcome == "accepted")
    return set(connection.execute(query).scalars())


def begun_objects(connection: sa.Connection, delivery_id: str) -> set[str]:
    """Objects that the destination has accepted at any time, also those that are to be sent once more."""
    table = schema.sent
    query = sa.select(table.c.sop_uid).where(table.c.delivery_id == delivery_id, table.c.outcome.in_(ACCEPTED_ONCE))
    return set(connection.execute(query).scalars())


def forget_accepted(connection: sa.Connection, delivery_id: str) -> None:
    """Let a resend send everything that a destination accepted once more."""
    table = schema.sent
    accepted = (table.c.delivery_id == delivery_id, table.c.outcome == "accepted")
    connection.execute(table.update().where(*accepted).values(outcome="resend"))


def look_again(connection: sa.Connection, delivery: DeliveryRow, next_at: datetime, message: str) -> bool:
    """Let the proof of an accepted delivery be tried once more, under the next attempt's number; False where stale."""
    table = schema.delivery
    same = (table.c.id == delivery.id, table.c.attempt == delivery.attempt, table.c.state == delivery.state.value)
    values = {"attempt": delivery.attempt + 1, "next_at": next_at, "message": message[:1000]}
    return connection.execute(table.update().where(*same).values(values)).rowcount == 1


def record_lacking(connection: sa.Connection, delivery_id: str, sop_uids: Collection[str]) -> None:
    """Record that a destination lacks objects that it had accepted: they are sent again."""
    table = schema.sent
    connection.execute(table.delete().where(table.c.delivery_id == delivery_id, table.c.sop_uid.in_(sop_uids)))
    delivery = schema.delivery
    lacking = delivery.update().where(delivery.c.id == delivery_id).values(lacking=delivery.c.lacking + 1)
    connection.execute(lacking)
