"""All that the ledger knows of one study: how it came, what was decided, done and sent."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from node.core.identity import Registered
from node.state import arrivals, corrections, outbox, schema, work
from node.state.rows import FACTS, DeliveryRow, JobRow, ResultRow, StudyRow

MOST_EVENTS = 500


@dataclass(frozen=True)
class Series:
    """What is there of one series. kind: image, other, own or unreadable."""

    series_uid: str
    number: int | None
    modality: str | None
    description: str | None
    kind: str
    count: int
    size_bytes: int


@dataclass(frozen=True)
class Caller:
    """An association that brought something of the study; brought: how many of its instances."""

    id: str
    calling_ae: str
    called_ae: str
    address: str
    started_at: datetime
    ended_at: datetime | None
    outcome: str
    brought: int


@dataclass(frozen=True)
class RouteDecision:
    """What a route said to one generation of the study."""

    generation: int
    route: str
    verdict: str
    why: str
    job_id: str | None
    at: datetime


@dataclass(frozen=True)
class Attempt:
    """One attempt at a stage. outcome: None while it lasts."""

    run: int
    stage: str
    executor: str
    started_at: datetime
    ended_at: datetime | None
    outcome: str | None
    message: str
    peak_mb: int | None

    @property
    def seconds(self) -> float | None:
        """How long it took; None while it lasts."""
        return None if self.ended_at is None else (self.ended_at - self.started_at).total_seconds()


@dataclass(frozen=True)
class Answered:
    """What a destination said of one object."""

    kind: str
    sop_uid: str
    outcome: str
    status: int | None
    message: str
    at: datetime


@dataclass(frozen=True)
class Event:
    """One line of the history."""

    at: datetime
    name: str
    message: str


@dataclass(frozen=True)
class DeliveryStory:
    """A delivery, what happened to it, and the answer to each of its objects."""

    delivery: DeliveryRow
    events: tuple[Event, ...]
    answers: tuple[Answered, ...]


@dataclass(frozen=True)
class JobStory:
    """A job with its attempts, the result objects of its present run, and where they went."""

    job: JobRow
    attempts: tuple[Attempt, ...]
    results: tuple[ResultRow, ...]
    deliveries: tuple[DeliveryStory, ...]


@dataclass(frozen=True)
class Story:
    """A study from its first image to the last answer of a destination. came_twice: some of its images came again with
    other content. corrected: whose it is by an operator's word, which its results state; None: as its images say."""

    study: StudyRow
    corrected: Registered | None
    came_twice: bool
    series: tuple[Series, ...]
    callers: tuple[Caller, ...]
    decisions: tuple[RouteDecision, ...]
    jobs: tuple[JobStory, ...]
    events: tuple[Event, ...]


def story(connection: sa.Connection, key: str) -> Story:
    """The story of the study of that short id or Study Instance UID. Raises NotFound, and NotPossible where two studies
    have that UID."""
    study = arrivals.get_study(connection, key)
    jobs = tuple(_job(connection, one) for one in reversed(work.jobs_of(connection, study.id)))
    events = _events(connection, study.id, [one.job.id for one in jobs])
    doubled = arrivals.came_twice(connection, study.id)
    corrected = corrections.correction_of(connection, study.id)
    return Story(study, corrected, doubled, series_of(connection, study.id), _callers(connection, study.id),
                 _decisions(connection, study), jobs, events)  # fmt: skip


def series_of(connection: sa.Connection, study_id: str) -> tuple[Series, ...]:
    """What is there of each series, in the order of their numbers."""
    table = schema.instance
    query = (
        sa.select(
            table.c.series_uid,
            table.c.kind,
            sa.func.count().label("instances"),
            sa.func.sum(table.c.size_bytes).label("size"),
            sa.func.min(table.c.id).label("first"),
        )
        .where(table.c.study_id == study_id)
        .group_by(table.c.series_uid, table.c.kind)
    )
    rows = connection.execute(query).all()
    firsts = sa.select(table.c.id, table.c.facts).where(table.c.id.in_([row.first for row in rows]))
    facts = {
        row.id: None if row.facts is None else FACTS.validate_json(row.facts) for row in connection.execute(firsts)
    }
    found = []
    for row in rows:
        one = facts[row.first]
        number, modality, text = (
            (one.series_number, one.modality, one.series_description) if one else (None, None, None)
        )
        found.append(Series(row.series_uid, number, modality, text, row.kind, int(row.instances), int(row.size)))
    return tuple(sorted(found, key=lambda one: (one.number is None, one.number or 0, one.series_uid)))


def _callers(connection: sa.Connection, study_id: str) -> tuple[Caller, ...]:
    instance, table = schema.instance, schema.association
    brought = (
        sa.select(instance.c.association_id, sa.func.count().label("brought"))
        .where(instance.c.study_id == study_id)
        .group_by(instance.c.association_id)
        .subquery()
    )
    query = sa.select(table, brought.c.brought).join(brought, brought.c.association_id == table.c.id)
    return tuple(
        Caller(
            row.id, row.calling_ae, row.called_ae, row.address, row.started_at, row.ended_at, row.outcome, row.brought
        )
        for row in connection.execute(query.order_by(table.c.started_at))
    )


def _decisions(connection: sa.Connection, study: StudyRow) -> tuple[RouteDecision, ...]:
    table = schema.decision
    query = sa.select(table).where(table.c.study_id == study.id, table.c.generation == study.generation)
    return tuple(
        RouteDecision(row.generation, row.route, row.verdict, row.why, row.job_id, row.at)
        for row in connection.execute(query.order_by(table.c.route))
    )


def _job(connection: sa.Connection, job: JobRow) -> JobStory:
    results = outbox.results_of(connection, job.id, job.run)
    deliveries = tuple(
        _delivery(connection, one, results) for one in outbox.deliveries_of(connection, job.id) if one.run == job.run
    )
    return JobStory(job, attempts_of(connection, job.id), tuple(results), deliveries)


def attempts_of(connection: sa.Connection, job_id: str) -> tuple[Attempt, ...]:
    """Every attempt at every stage of a job, in their order."""
    table = schema.attempt
    query = sa.select(table).where(table.c.job_id == job_id).order_by(table.c.id)
    return tuple(
        Attempt(
            row.run, row.stage, row.executor, row.started_at, row.ended_at, row.outcome, row.message, row.peak_mb
        )
        for row in connection.execute(query)
    )  # fmt: skip


def _delivery(connection: sa.Connection, delivery: DeliveryRow, results: list[ResultRow]) -> DeliveryStory:
    event, sent = schema.event, schema.sent
    query = sa.select(event).where(event.c.delivery_id == delivery.id).order_by(event.c.id.desc()).limit(MOST_EVENTS)
    events = [Event(row.at, row.name, row.message) for row in connection.execute(query)]
    kinds = {one.sop_uid: one.kind for one in results}
    answers = [
        Answered(kinds.get(row.sop_uid, ""), row.sop_uid, row.outcome, row.status, row.message, row.at)
        for row in connection.execute(sa.select(sent).where(sent.c.delivery_id == delivery.id))
    ]
    order = list(kinds)
    answers.sort(key=lambda one: order.index(one.sop_uid) if one.sop_uid in kinds else len(order))
    return DeliveryStory(delivery, tuple(reversed(events)), tuple(answers))


def _events(connection: sa.Connection, study_id: str, jobs: Sequence[str]) -> tuple[Event, ...]:
    """The study's history with that of its jobs, the latest lines of it, oldest first.

    The jobs are named one by one: PostgreSQL would go through every event for those of a subquery.
    """
    table = schema.event
    query = sa.select(table).where(sa.or_(table.c.study_id == study_id, table.c.job_id.in_(jobs)))
    rows = connection.execute(query.order_by(table.c.id.desc()).limit(MOST_EVENTS)).all()
    return tuple(Event(row.at, row.name, row.message) for row in reversed(rows))
