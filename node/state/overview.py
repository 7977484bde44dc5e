"""What is in each part of the journey now, what was finished lately, and what waits for a person."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from node.core.job import DeliveryState, JobState, StudyState
from node.core.routing import Verdict
from node.state import schema
from node.state.associations import AssociationOutcome

MOST = 1000
"""What is counted for a person is counted no further: "more than a thousand" says enough."""
FEW = 5


@dataclass(frozen=True)
class Journey:
    """How many studies, jobs and deliveries are at each station now, and how many passed both ends in a day."""

    arrived_day: int
    gathering: int
    held: int
    prepare: int
    infer: int
    encode: int
    sending: int
    proving: int
    parked: int
    failed: int
    finished_day: int
    refused_day: int


def journey(connection: sa.Connection, now: datetime) -> Journey:
    """Counted by index: the time this takes does not grow with what was finished long ago."""
    day = now - timedelta(days=1)
    study, job, delivery = schema.study.c, schema.job.c, schema.delivery.c

    def of(*where: sa.ColumnElement[bool]) -> int:
        rows = sa.select(sa.literal(1)).where(*where).limit(MOST * 100).subquery()
        return int(connection.execute(sa.select(sa.func.count()).select_from(rows)).scalar_one())

    under_way = [DeliveryState.WAITING.value, DeliveryState.SENDING.value]
    finished = [DeliveryState.ACCEPTED.value, DeliveryState.PROVEN.value]
    is_accepted = delivery.state == DeliveryState.ACCEPTED.value
    return Journey(
        arrived_day=of(study.last_at >= day),
        gathering=of(study.state == StudyState.GATHERING.value),
        held=of(study.state == StudyState.QUARANTINED.value),
        prepare=of(job.state == JobState.QUEUED.value),
        infer=of(job.state == JobState.PREPARED.value),
        encode=of(job.state == JobState.INFERRED.value),
        sending=of(delivery.state.in_(under_way)),
        proving=of(is_accepted, delivery.changed_at >= day, delivery.next_at.is_not(None)),
        parked=of(delivery.state == DeliveryState.PARKED.value),
        failed=of(job.state == JobState.FAILED.value),
        finished_day=of(delivery.state.in_(finished), delivery.changed_at >= day, delivery.next_at.is_(None)),
        refused_day=of(job.state == JobState.REFUSED.value, job.changed_at >= day),
    )  # fmt: skip


def finished(connection: sa.Connection, since: datetime) -> list[tuple[datetime, float]]:
    """When each first run's results arrived, and how many seconds after the last image of their study."""
    rows = connection.execute(_arrived().where(schema.delivery.c.changed_at >= since))
    return [(row.changed_at, (row.changed_at - row.last_at).total_seconds()) for row in rows]


def seconds_to_arrival(connection: sa.Connection, delivery_ids: Collection[str]) -> list[float]:
    """The same times of these deliveries alone; of those that have not arrived yet, none."""
    rows = connection.execute(_arrived().where(schema.delivery.c.id.in_(delivery_ids)))
    return [max((row.changed_at - row.last_at).total_seconds(), 0.0) for row in rows]


def _arrived() -> sa.Select[tuple[datetime, datetime]]:
    study, job, delivery = schema.study, schema.job, schema.delivery
    arrived = [DeliveryState.ACCEPTED.value, DeliveryState.PROVEN.value]
    query = sa.select(delivery.c.changed_at, study.c.last_at).select_from(delivery.join(job).join(study))
    return query.where(delivery.c.state.in_(arrived), delivery.c.next_at.is_(None), delivery.c.run == 1)


@dataclass(frozen=True)
class Group:
    """Things of one kind that wait for a person: of whom (destination, route, caller), how many, and the last one's
    words. id: the last one's."""

    whose: str
    count: int
    since: datetime
    id: str
    message: str


def held(connection: sa.Connection) -> list[Group]:
    """Studies that somebody must decide over, the latest first."""
    table, event = schema.study.c, schema.event.c
    told = (event.study_id == table.id, event.name == f"study-{StudyState.QUARANTINED.value}")
    since = sa.func.coalesce(  # one that was held from its first image on has no such event
        sa.select(sa.func.max(event.at)).where(*told).correlate(schema.study).scalar_subquery(), table.first_at
    )
    query = sa.select(table.id, table.calling_ae, since.label("since"), table.why)
    query = query.where(table.state == StudyState.QUARANTINED.value).order_by(since.desc()).limit(FEW)
    return [Group(row.calling_ae, 1, row.since, row.id, row.why) for row in connection.execute(query)]


def parked(connection: sa.Connection) -> list[Group]:
    """Deliveries that a destination refuses for good, by destination."""
    table = schema.delivery.c
    return _groups(connection, table.destination, table.changed_at, table.id, table.message, (table.state == "parked",))


def postponed(connection: sa.Connection) -> list[Group]:
    """Deliveries that were tried in vain and wait for their next try, by destination."""
    table = schema.delivery.c
    tried = (table.state == DeliveryState.WAITING.value, table.message != "", table.attempt > 1)
    return _groups(connection, table.destination, table.created_at, table.id, table.message, tried)


def failed(connection: sa.Connection) -> list[Group]:
    """Jobs that failed, by model."""
    table = schema.job.c
    return _groups(
        connection, table.model, table.changed_at, table.id, table.message, (table.state == JobState.FAILED.value,)
    )


def undecided(connection: sa.Connection, since: datetime) -> list[Group]:
    """Routes that could not be decided for a study, by route."""
    table = schema.decision.c
    lately = (table.verdict == Verdict.UNDECIDED.value, table.at >= since)
    return _groups(connection, table.route, table.at, table.study_id, table.why, lately)


def turned_away(connection: sa.Connection, since: datetime) -> list[Group]:
    """Callers whose associations were rejected and who have not come in since, by AE title."""
    table, later = schema.association.c, schema.association.alias().c
    is_rejected = table.outcome == AssociationOutcome.REJECTED.value
    came_in = (
        sa.select(later.calling_ae, sa.func.max(later.started_at).label("at"))
        .where(later.outcome != AssociationOutcome.REJECTED.value, later.started_at >= since)
        .group_by(later.calling_ae)
        .subquery()
    )
    is_settled = sa.exists().where(came_in.c.calling_ae == table.calling_ae, came_in.c.at > table.started_at)
    lately = (is_rejected, table.started_at >= since, ~is_settled)
    return _groups(connection, table.calling_ae, table.started_at, table.id, table.why, lately)


def _groups(
    connection: sa.Connection,
    whose: sa.ColumnElement[str],
    at: sa.ColumnElement[datetime],
    identity: sa.ColumnElement[str],
    message: sa.ColumnElement[str],
    where: tuple[sa.ColumnElement[bool], ...],
) -> list[Group]:
    """The newest thousand, put together by whose they are; those with the most first."""
    query = sa.select(whose.label("whose"), at.label("at"), identity.label("id"), message.label("message"))
    found: dict[str, Group] = {}
    for row in connection.execute(query.where(*where).order_by(at.desc()).limit(MOST)):
        known = found.get(row.whose)
        if known is None:
            found[row.whose] = Group(row.whose, 1, row.at, row.id, row.message)
        else:
            found[row.whose] = Group(known.whose, known.count + 1, row.at, known.id, known.message)
    return sorted(found.values(), key=lambda one: -one.count)
