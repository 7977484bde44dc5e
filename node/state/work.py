"""Facts about jobs: their runs, the attempts at each stage, and the compare-and-set that moves them on."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from node.core.job import (
    EVENT_AFTER,
    JOB_ENDED,
    JOB_TRANSITIONS,
    STATE_BEFORE,
    JobEvent,
    JobState,
    Stage,
)
from node.core.pausable import Pausable
from node.core.study import Stack
from node.errors import NotFound, ReasonCode
from node.state import schema
from node.state.ledger import note
from node.state.rows import NAMES, STACKS, JobRow, NewJob, RunRow

_JOBS = sa.select(*(one for one in schema.job.columns if one.name != "inputs"))
"""What a JobRow holds."""


@dataclass(frozen=True)
class Ticket:
    """Which stage of which run of which job: what the engine is handed.

    turn: one more each time that the job is put back, never less: a run that begins anew meets no ticket it had before,
    which the engine would take for one that is done.
    """

    job_id: str
    run: int
    stage: Stage
    turn: int


def ticket_of(job: JobRow) -> Ticket:
    """What the job waits for now."""
    return Ticket(job.id, job.run, job.stage, job.turn)


def add_job(connection: sa.Connection, new: NewJob, now: datetime) -> JobRow | None:
    """Make the job, or None where one with this key exists: the same inputs, model and settings run once."""
    if connection.execute(sa.select(schema.job.c.id).where(schema.job.c.key == new.key)).first() is not None:
        return None
    connection.execute(
        schema.job.insert().values(
            id=new.id,
            key=new.key,
            study_id=new.study_id,
            route=new.route,
            model=new.model,
            model_version=new.model_version,
            model_digest=new.model_digest,
            input_digest=new.input_digest,
            inputs=STACKS.dump_json(new.inputs).decode(),
            destinations=NAMES.dump_json(new.destinations).decode(),
            incomplete=new.incomplete,
            priority=int(new.priority),
            state=JobState.QUEUED.value,
            stage=Stage.PREPARE.value,
            run=1,
            turn=1,
            created_at=now,
            changed_at=now,
        )
    )
    note(connection, now, "job-queued", f"route {new.route}, model {new.model}", study_id=new.study_id, job_id=new.id)
    return get_job(connection, new.id)


def get_job(connection: sa.Connection, key: str) -> JobRow:
    """The job of that id. Raises NotFound."""
    row = connection.execute(_JOBS.where(schema.job.c.id == key)).mappings().first()
    if row is None:
        raise NotFound(f"no job {key!r} is known; `isocenter jobs` lists them")
    return JobRow.of(row)


def inputs_of(connection: sa.Connection, job_id: str) -> dict[str, Stack]:
    """The stack that each input of a job gets."""
    query = sa.select(schema.job.c.inputs).where(schema.job.c.id == job_id)
    return STACKS.validate_json(connection.execute(query).scalar_one())


def jobs_of(connection: sa.Connection, study_id: str, route: str | None = None) -> list[JobRow]:
    """Jobs of a study, oldest first; of one route only where it is named."""
    query = _JOBS.where(schema.job.c.study_id == study_id)
    if route is not None:
        query = query.where(schema.job.c.route == route)
    return [JobRow.of(row) for row in connection.execute(query.order_by(schema.job.c.created_at)).mappings()]


def unfinished_jobs(connection: sa.Connection) -> list[JobRow]:
    """Jobs for which a stage is still due."""
    query = _JOBS.where(schema.job.c.state.in_([state.value for state in JobState if state not in JOB_ENDED]))
    return [JobRow.of(row) for row in connection.execute(query).mappings()]


def jobs_ended(connection: sa.Connection, states: Collection[JobState], *, since: datetime) -> list[JobRow]:
    """Jobs that ended in one of these states since then."""
    table = schema.job
    query = _JOBS.where(table.c.state.in_([one.value for one in states]), table.c.changed_at >= since)
    return [JobRow.of(row) for row in connection.execute(query).mappings()]


def longest_waiting(connection: sa.Connection, stage: Stage) -> JobRow | None:
    """The job that waits longest for a stage: neither under way nor paused, nor waiting out a pause after an error."""
    table, attempt, pause = schema.job, schema.attempt, schema.pause
    tried = sa.exists().where(
        attempt.c.job_id == table.c.id,
        attempt.c.run == table.c.run,
        attempt.c.stage == table.c.stage,
        sa.or_(attempt.c.ended_at.is_(None), attempt.c.outcome.in_(["error", "no-room"])),
    )
    by_route = sa.and_(pause.c.kind == Pausable.ROUTE.value, pause.c.name == table.c.route)
    by_model = sa.and_(pause.c.kind == Pausable.MODEL.value, pause.c.name == table.c.model)
    paused = sa.exists().where(sa.or_(by_route, by_model))
    query = _JOBS.where(table.c.stage == stage.value, table.c.state == STATE_BEFORE[stage].value, ~tried, ~paused)
    row = connection.execute(query.order_by(table.c.created_at).limit(1)).mappings().first()
    return None if row is None else JobRow.of(row)


def is_under_way(connection: sa.Connection, job: JobRow) -> bool:
    """Whether an attempt at the job's present stage has not ended yet."""
    table = schema.attempt
    same = (table.c.job_id == job.id, table.c.run == job.run, table.c.stage == job.stage.value)
    return connection.execute(sa.select(table.c.id).where(*same, table.c.ended_at.is_(None))).first() is not None


def under_way(connection: sa.Connection) -> set[tuple[str, int, Stage]]:
    """Job, run and stage of every attempt that has not ended yet."""
    table = schema.attempt
    query = sa.select(table.c.job_id, table.c.run, table.c.stage).where(table.c.ended_at.is_(None))
    return {(row.job_id, row.run, Stage(row.stage)) for row in connection.execute(query)}


def get_run(connection: sa.Connection, job_id: str, run: int) -> RunRow:
    """One run of a job. Raises NotFound where it has not started."""
    query = sa.select(schema.run).where(schema.run.c.job_id == job_id, schema.run.c.run == run)
    row = connection.execute(query).mappings().first()
    if row is None:
        raise NotFound(f"job {job_id} has no run {run}")
    return RunRow(**row)


def is_due(job: JobRow, ticket: Ticket) -> bool:
    """Whether the job waits for exactly this: a ticket of an older run or turn is stale, its work is not adopted."""
    asked = (ticket.run, ticket.stage, ticket.turn)
    return (job.run, job.stage, job.turn) == asked and job.state is STATE_BEFORE[ticket.stage]


def start_attempt(connection: sa.Connection, ticket: Ticket, executor: str, now: datetime) -> int:
    """Record that the stage starts, and that attempts which earlier processes left open died. Returns its id."""
    table = schema.attempt
    same = sa.and_(table.c.job_id == ticket.job_id, table.c.run == ticket.run, table.c.stage == ticket.stage.value)
    connection.execute(
        table.update()
        .where(same, table.c.ended_at.is_(None))
        .values(ended_at=now, outcome="crashed", message="the process died")
    )
    first = sa.select(schema.run.c.run).where(schema.run.c.job_id == ticket.job_id, schema.run.c.run == ticket.run)
    if connection.execute(first).first() is None:
        connection.execute(schema.run.insert().values(job_id=ticket.job_id, run=ticket.run, started_at=now))
    values = {"job_id": ticket.job_id, "run": ticket.run, "stage": ticket.stage.value, "turn": ticket.turn}
    made = connection.execute(table.insert().values(**values, executor=executor, started_at=now))
    key = made.inserted_primary_key
    assert key is not None  # noqa: S101  the table has one
    return int(key[0])


def break_off(connection: sa.Connection, attempt_ids: Collection[int], now: datetime) -> None:
    """Record that attempts which are still open ended because the ledger could not be used: no fault of theirs."""
    if not attempt_ids:
        return
    table = schema.attempt
    values = {"ended_at": now, "outcome": "no-ledger", "message": "the ledger could not be used"}
    connection.execute(table.update().where(table.c.id.in_(attempt_ids), table.c.ended_at.is_(None)).values(**values))


def count_attempts(connection: sa.Connection, ticket: Ticket) -> tuple[int, int]:
    """How often this stage of this run has ended in an error, and how often its process died, since a person last
    put it back."""
    table = schema.attempt
    query = (
        sa.select(table.c.outcome, sa.func.count())
        .where(table.c.job_id == ticket.job_id, table.c.run == ticket.run, table.c.stage == ticket.stage.value)
        .where(table.c.outcome.in_(["error", "crashed"]))
        .group_by(table.c.outcome)
    )
    counts = {outcome: int(count) for outcome, count in connection.execute(query)}
    return counts.get("error", 0), counts.get("crashed", 0)


def end_attempt(
    connection: sa.Connection,
    attempt_id: int,
    outcome: str,
    now: datetime,
    *,
    message: str = "",
    peak_mb: int | None = None,
) -> None:
    """Record how an attempt ended: done, refused, error, no-room, or stale where its job had moved on."""
    table = schema.attempt
    values = {"ended_at": now, "outcome": outcome, "message": message[:1000], "peak_mb": peak_mb}
    connection.execute(table.update().where(table.c.id == attempt_id).values(**values))


def adopt(
    connection: sa.Connection, job: JobRow, ticket: Ticket, artefact: str, following: Stage | None, now: datetime
) -> bool:
    """Move the job on and make the artefact the run's; False, with nothing changed, where the ticket is stale."""
    column = {Stage.PREPARE: "prepared", Stage.INFER: "findings", Stage.ENCODE: "results"}[ticket.stage]
    after = JOB_TRANSITIONS[job.state, EVENT_AFTER[ticket.stage]]
    values = {"state": after.value, "stage": (following or ticket.stage).value}
    if not _compare_and_set(connection, job, ticket, values, now):
        return False
    same = sa.and_(schema.run.c.job_id == ticket.job_id, schema.run.c.run == ticket.run)
    connection.execute(schema.run.update().where(same).values({column: artefact}))
    note(connection, now, f"job-{after.value}", study_id=job.study_id, job_id=job.id)
    return True


def end_job(
    connection: sa.Connection,
    job: JobRow,
    happened: JobEvent,
    now: datetime,
    *,
    reason: ReasonCode | None = None,
    message: str = "",
) -> bool:
    """End the job by refusal, failure, cancelling or superseding; False where the table does not allow it any more."""
    after = JOB_TRANSITIONS.get((job.state, happened))
    if after is None:
        return False
    ticket = ticket_of(job)
    values = {"state": after.value, "reason": reason.value if reason else None, "message": message[:1000]}
    if not _compare_and_set(connection, job, ticket, values, now):
        return False
    words = f"{reason.value}: {message}" if reason else message
    note(connection, now, f"job-{after.value}", words, study_id=job.study_id, job_id=job.id)
    return True


def next_turn(connection: sa.Connection, job: JobRow, ticket: Ticket, now: datetime) -> Ticket | None:
    """The ticket for trying the same stage once more, or None where this one is stale."""
    if not _compare_and_set(connection, job, ticket, {"turn": ticket.turn + 1}, now):
        return None
    return Ticket(ticket.job_id, ticket.run, ticket.stage, ticket.turn + 1)


def put_back(connection: sa.Connection, job: JobRow, *, new_run: bool, now: datetime) -> Ticket | None:
    """Put an ended job back to work: at the stage it ended in, or as a new run from the start. None where it moved."""
    stage = Stage.PREPARE if new_run else job.stage
    ticket = Ticket(job.id, job.run + 1 if new_run else job.run, stage, job.turn + 1)
    values = {
        "run": ticket.run,
        "stage": stage.value,
        "turn": ticket.turn,
        "state": STATE_BEFORE[stage].value,
        "reason": None,
        "message": "",
    }
    here = ticket_of(job)
    if not _compare_and_set(connection, job, here, values, now):
        return None
    open_again = schema.attempt.c.job_id == job.id, schema.attempt.c.outcome.in_(["error", "crashed"])
    connection.execute(schema.attempt.update().where(*open_again).values(outcome="forgiven"))
    name = "job-run-again" if new_run else "job-retried"
    note(connection, now, name, f"run {ticket.run}, from {stage.value}", study_id=job.study_id, job_id=job.id)
    return ticket


def prepare_again(connection: sa.Connection, job: JobRow, now: datetime) -> None:
    """Let a job's run begin anew, whatever it had come to: what its stages made is not to be relied on."""
    here = ticket_of(job)
    values = {"stage": Stage.PREPARE.value, "turn": job.turn + 1, "state": STATE_BEFORE[Stage.PREPARE].value}
    if _compare_and_set(connection, job, here, values, now):
        note(connection, now, "job-prepared-again", f"run {job.run}", study_id=job.study_id, job_id=job.id)


def _compare_and_set(
    connection: sa.Connection, job: JobRow, ticket: Ticket, values: Mapping[str, object], now: datetime
) -> bool:
    table = schema.job
    same: Sequence[sa.ColumnElement[bool]] = (
        table.c.id == ticket.job_id,
        table.c.run == ticket.run,
        table.c.stage == ticket.stage.value,
        table.c.turn == ticket.turn,
        table.c.state == job.state.value,
    )
    return connection.execute(table.update().where(*same).values(changed_at=now, **values)).rowcount == 1
