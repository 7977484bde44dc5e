"""Finds studies by patient, accession, date, modality, sender, route and outcome: the newest first, page by page."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from node.core.job import DeliveryState, JobState, StudyState
from node.core.outcome import Outcome, outcome_of
from node.state import schema
from node.state.rows import StudyRow

PAGE = 50


@dataclass(frozen=True)
class Wanted:
    """What is looked for; empty means any.

    text: how a patient's id, an accession number, a Study Instance UID or our own id begins; by_patient: whether the
    first two are asked. since, until: study dates, YYYYMMDD. before: the last study of the page before.
    """

    text: str = ""
    by_patient: bool = True
    since: str = ""
    until: str = ""
    modality: str = ""
    sender: str = ""
    route: str = ""
    outcome: Outcome | None = None
    before: tuple[datetime, str] | None = None


@dataclass(frozen=True)
class Found:
    """A study in the list."""

    study: StudyRow
    outcome: Outcome
    routes: tuple[str, ...]


@dataclass(frozen=True)
class Page:
    """Some studies, and whether there are older ones."""

    studies: tuple[Found, ...]
    has_more: bool


def search(connection: sa.Connection, wanted: Wanted) -> Page:
    """One page of the studies that are wanted, the one whose last image is newest first."""
    table = schema.study
    query = sa.select(table).where(*_conditions(wanted)).order_by(table.c.last_at.desc(), table.c.id.desc())
    rows = [StudyRow.of(row) for row in connection.execute(query.limit(PAGE + 1)).mappings()]
    return Page(tuple(_found(connection, rows[:PAGE])), len(rows) > PAGE)


def _conditions(wanted: Wanted) -> list[sa.ColumnElement[bool]]:
    table = schema.study.c
    found: list[sa.ColumnElement[bool]] = []
    if wanted.text:
        columns = (table.study_uid, table.id, *((table.patient_id, table.accession) if wanted.by_patient else ()))
        ids = [sa.select(table.id).where(one >= wanted.text, one < _after(wanted.text)) for one in columns]
        found.append(table.id.in_(sa.union_all(*ids)))
    if wanted.since:
        found.append(table.study_date >= wanted.since)
    if wanted.until:
        found.append(table.study_date <= wanted.until)
    if wanted.modality:
        found.append((" " + table.modalities + " ").contains(f" {wanted.modality} ", autoescape=True))
    if wanted.sender:
        found.append(table.calling_ae == wanted.sender)
    if wanted.route:
        found.append(sa.exists().where(schema.job.c.study_id == table.id, schema.job.c.route == wanted.route))
    if wanted.outcome:
        found.append(_with_outcome(wanted.outcome))
    if wanted.before:
        at, identity = wanted.before
        found.append(sa.or_(table.last_at < at, sa.and_(table.last_at == at, table.id < identity)))
    return found


def _after(text: str) -> str:
    """The first text after all that begin so. Surrogates, which stand in no text, are passed over."""
    following = ord(text[-1]) + 1
    return text[:-1] + chr(0xE000 if following == 0xD800 else min(following, 0x10FFFF))


OF_STUDY: dict[Outcome, StudyState] = {
    Outcome.GATHERING: StudyState.GATHERING,
    Outcome.HELD: StudyState.QUARANTINED,
    Outcome.PURGED: StudyState.PURGED,
}
OF_JOB: dict[Outcome, tuple[JobState, ...]] = {
    Outcome.FAILED: (JobState.FAILED,),
    Outcome.REFUSED: (JobState.REFUSED,),
    Outcome.WORKING: (JobState.QUEUED, JobState.PREPARED, JobState.INFERRED),
    Outcome.ENDED: (JobState.CANCELLED, JobState.SUPERSEDED),
}
OF_DELIVERY: dict[Outcome, tuple[DeliveryState, ...]] = {
    Outcome.PARKED: (DeliveryState.PARKED,),
    Outcome.SENDING: (DeliveryState.WAITING, DeliveryState.SENDING),
    Outcome.DELIVERED: (DeliveryState.ACCEPTED, DeliveryState.PROVEN),
    Outcome.ENDED: (DeliveryState.DROPPED,),
}
"""Where it shows in the ledger that something of a study came to this; without a row: Outcome.NO_JOB alone."""


def _with_outcome(outcome: Outcome) -> sa.ColumnElement[bool]:
    """Studies of which something came to this."""
    table = schema.study.c
    if outcome in OF_STUDY:
        return table.state == OF_STUDY[outcome].value
    shown = [_with_job(*OF_JOB[outcome])] if outcome in OF_JOB else []
    shown += [_with_delivery(*OF_DELIVERY[outcome])] if outcome in OF_DELIVERY else []
    if shown:
        return sa.or_(*shown)
    jobs = sa.exists().where(schema.job.c.study_id == table.id)
    return sa.and_(table.state == StudyState.COMPLETE.value, ~jobs)


def _with_job(*states: JobState) -> sa.ColumnElement[bool]:
    values = [one.value for one in states]
    return schema.study.c.id.in_(sa.select(schema.job.c.study_id).where(schema.job.c.state.in_(values)))


def _with_delivery(*states: DeliveryState) -> sa.ColumnElement[bool]:
    job, delivery = schema.job, schema.delivery
    is_one = delivery.c.state.in_([one.value for one in states])
    if DeliveryState.PROVEN in states:  # nearly all are: going through the newest studies finds a page of them at once
        # One within the other: without statistics SQLite begins a join of both with every delivery that arrived.
        of_job = sa.exists().where(delivery.c.job_id == job.c.id, is_one)
        return sa.exists().where(job.c.study_id == schema.study.c.id, of_job)
    return schema.study.c.id.in_(sa.select(job.c.study_id).select_from(delivery.join(job)).where(is_one))


def _found(connection: sa.Connection, studies: Sequence[StudyRow]) -> list[Found]:
    """Each with its outcome, from two more queries for all of them."""
    ids = [one.id for one in studies]
    job, delivery = schema.job, schema.delivery
    jobs = connection.execute(sa.select(job.c.study_id, job.c.route, job.c.state).where(job.c.study_id.in_(ids))).all()
    query = sa.select(job.c.study_id, delivery.c.state).select_from(delivery.join(job))
    deliveries = connection.execute(query.where(job.c.study_id.in_(ids))).all()
    found = []
    for study in studies:
        states = [JobState(row.state) for row in jobs if row.study_id == study.id]
        sent = [DeliveryState(row.state) for row in deliveries if row.study_id == study.id]
        routes = tuple(sorted({row.route for row in jobs if row.study_id == study.id}))
        found.append(Found(study, outcome_of(study.state, states, sent), routes))
    return found
