"""Forgets what is done with: files of studies, then their results, then the facts; never what nobody has finished with.

Everything is taken from the ledger first and from the disk after that, and may be interrupted and done again.
"""

import shutil
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import sqlalchemy as sa

from node.core.clock_step import LONG_AGO
from node.core.job import JOB_ENDED, DeliveryState, Stage, StudyEvent, StudyState
from node.state import arrivals, pledges, schema
from node.state.arrivals import ALREADY_PURGED
from node.state.ledger import Ledger, note
from node.state.rows import StudyRow

ENDED = [state.value for state in JOB_ENDED]
PURGED_AT_ONCE = 100
"""In a transaction: others wait to write meanwhile."""


@dataclass(frozen=True)
class Periods:
    """How long things are kept after they are done with. study_of: a peer's own period, by its name."""

    study: timedelta
    result: timedelta
    ledger: timedelta
    study_of: Mapping[str, timedelta]


@dataclass(frozen=True)
class Forgotten:
    """How many studies lost their files, jobs their results, and studies their facts."""

    studies: int
    jobs: int
    facts: int


Before = Callable[[timedelta], datetime]
"""What is older than a period came before this."""


def retain(ledger: Ledger, home: Path, periods: Periods, now: datetime, steady_since: datetime = LONG_AGO) -> Forgotten:
    """Apply every rule once (design section 4).

    steady_since: when the clock last leapt ahead. How old anything from before that is, it does not tell; so nothing
    goes until a whole period has passed since.
    """

    def before(period: timedelta) -> datetime:
        return now - period if now - period >= steady_since else LONG_AGO

    studies = _purge(ledger, periods, now, before)
    remove_purged_files(ledger, home)
    jobs = _remove_results(ledger, home, before(periods.result))
    return Forgotten(studies, jobs, _forget_facts(ledger, home, before(periods.ledger)))


def _purge(ledger: Ledger, periods: Periods, now: datetime, before: Before) -> int:
    """Mark studies whose files are due to go. They are found before others have to wait to write."""
    table, soonest = schema.study, before(min((periods.study, *periods.study_of.values())))
    query = sa.select(table).where(table.c.state == StudyState.COMPLETE.value, table.c.last_at < soonest)

    def due(connection: sa.Connection, studies: sa.Select[tuple[object, ...]]) -> list[StudyRow]:
        found = [StudyRow.of(row) for row in connection.execute(studies).mappings()]
        return [one for one in found if _is_due(connection, one, before(_period(one, periods)))]

    with ledger.read() as connection:
        keys = [one.id for one in due(connection, query)]
    count = 0
    for first in range(0, len(keys), PURGED_AT_ONCE):
        with ledger.write() as connection:
            for study in due(connection, query.where(table.c.id.in_(keys[first : first + PURGED_AT_ONCE]))):
                count += arrivals.change_study(connection, study, StudyEvent.PURGED, now, why="kept for its time")
    return count


def _period(study: StudyRow, periods: Periods) -> timedelta:
    return periods.study_of.get(study.peer or "", periods.study)


def _is_due(connection: sa.Connection, study: StudyRow, before: datetime) -> bool:
    """Whether nothing came of a study since then, and nobody has anything left to do with it."""
    if study.completed_at is None or not all(
        one < before for one in (study.last_at, study.completed_at, *_changes(connection, study.id))
    ):
        return False
    return is_done_with(connection, study.id) and not pledges.is_held(connection, study.id)


def is_done_with(connection: sa.Connection, study_id: str) -> bool:
    """Whether every job of a study has ended and every delivery is proven, dropped, or accepted without proof."""
    job, delivery = schema.job, schema.delivery
    unfinished = sa.select(job.c.id).where(job.c.study_id == study_id, job.c.state.not_in(ENDED))
    of_study = sa.select(delivery.c.id).select_from(delivery.join(job)).where(job.c.study_id == study_id)
    undelivered = of_study.where(~_is_delivered())
    return connection.execute(unfinished).first() is None and connection.execute(undelivered).first() is None


def remove_purged_files(ledger: Ledger, home: Path) -> None:
    """Remove the files of purged studies and what was prepared of them, also what an interruption left; late images
    stay."""
    instance, study, job = schema.instance, schema.study, schema.job
    purged = sa.select(study.c.id).where(study.c.state == StudyState.PURGED.value)
    due = (instance.c.study_id.in_(purged), instance.c.path.is_not(None), instance.c.why != ALREADY_PURGED)
    with ledger.read() as connection:
        paths = connection.execute(sa.select(instance.c.path).where(*due)).scalars().all()
        of_studies = job.c.study_id.in_(sa.select(instance.c.study_id).where(*due))
        jobs = connection.execute(sa.select(job.c.id).where(of_studies)).scalars().all()
    for identity in jobs:  # all attempts at it: not before, as one that was given up may be writing still
        for folder in (home / "work" / identity).glob(f"*/{Stage.PREPARE.value}-*"):
            shutil.rmtree(folder, ignore_errors=True)
    for path in paths:
        _remove_file(home / path)
    if paths:  # the same ones: what comes to a purged study has come too late
        with ledger.write() as connection:
            connection.execute(instance.update().where(*due).values(path=None))


def _remove_results(ledger: Ledger, home: Path, before: datetime) -> int:
    """Remove the work of jobs that ended long ago; a folder that is gone is what tells that it was done."""
    count = 0
    for folder in (home / "work").glob("*"):
        with ledger.read() as connection:
            is_due = _is_result_due(connection, folder.name, before)
        if is_due:
            shutil.rmtree(folder, ignore_errors=True)
            count += 1
    return count


def _is_result_due(connection: sa.Connection, job_id: str, before: datetime) -> bool:
    job, delivery = schema.job, schema.delivery
    row = connection.execute(sa.select(job.c.state, job.c.changed_at).where(job.c.id == job_id)).first()
    if row is None:
        return False
    kept = sa.select(delivery.c.id).where(delivery.c.job_id == job_id)
    kept = kept.where(sa.or_(~_is_delivered(), delivery.c.changed_at >= before))
    return row.state in ENDED and row.changed_at < before and connection.execute(kept).first() is None


def _forget_facts(ledger: Ledger, home: Path, before: datetime) -> int:
    """Results go with the last facts about them: without these nobody would know when to remove them."""
    table, job = schema.study, schema.job
    query = sa.select(table.c.id).where(table.c.state == StudyState.PURGED.value, table.c.last_at < before)
    with ledger.read() as connection:
        found = list(connection.execute(query).scalars())
        jobs = list(connection.execute(sa.select(job.c.id).where(job.c.study_id.in_(query))).scalars())
    for identity in jobs:
        shutil.rmtree(home / "work" / identity, ignore_errors=True)
    with ledger.write() as connection:
        for identity in found:
            forget(connection, identity)
        for old, at in ((schema.association, "started_at"), (schema.event, "at"), (schema.pledge, "received_at")):
            of_no_study = old.c.study_id.is_(None) if old is schema.event else sa.true()
            connection.execute(old.delete().where(old.c[at] < before, of_no_study))
    return len(found)


def forget(connection: sa.Connection, study_id: str) -> None:
    """Remove every fact about a study."""
    jobs = sa.select(schema.job.c.id).where(schema.job.c.study_id == study_id)
    deliveries = sa.select(schema.delivery.c.id).where(schema.delivery.c.job_id.in_(jobs))
    for table in (schema.sent, schema.commitment):
        connection.execute(table.delete().where(table.c.delivery_id.in_(deliveries)))
    connection.execute(schema.event.delete().where(schema.event.c.job_id.in_(jobs)))
    for table in (schema.delivery, schema.result, schema.attempt, schema.run):
        connection.execute(table.delete().where(table.c.job_id.in_(jobs)))
    for table in (schema.event, schema.decision, schema.pledged, schema.instance, schema.job):
        connection.execute(table.delete().where(table.c.study_id == study_id))
    connection.execute(schema.study.delete().where(schema.study.c.id == study_id))


def erase(ledger: Ledger, home: Path, study_id: str, now: datetime, stop: Callable[[sa.Connection], None]) -> int:
    """Remove a study with its results and all facts, at once; returns how many files that were.

    stop: lets nothing more of it start, in the first transaction.
    """
    with ledger.write() as connection:
        stop(connection)
        instance, job = schema.instance, schema.job
        paths = connection.execute(sa.select(instance.c.path).where(instance.c.study_id == study_id)).scalars().all()
        jobs = connection.execute(sa.select(job.c.id).where(job.c.study_id == study_id)).scalars().all()
    found = [home / path for path in paths if path is not None]
    for path in found:
        _remove_file(path)
    for identity in jobs:
        shutil.rmtree(home / "work" / identity, ignore_errors=True)
    with ledger.write() as connection:
        forget(connection, study_id)
        note(connection, now, "study-erased", f"study {study_id}, {len(found)} files")
    return len(found)


def _changes(connection: sa.Connection, study_id: str) -> list[datetime]:
    """When jobs and deliveries of a study last changed."""
    job, delivery = schema.job, schema.delivery
    jobs = connection.execute(sa.select(job.c.changed_at).where(job.c.study_id == study_id)).scalars()
    query = sa.select(delivery.c.changed_at).select_from(delivery.join(job)).where(job.c.study_id == study_id)
    return [*jobs, *connection.execute(query).scalars()]


def _is_delivered() -> sa.ColumnElement[bool]:
    """Proven, dropped, or accepted where no proof is due."""
    table = schema.delivery
    without_proof = sa.and_(table.c.state == DeliveryState.ACCEPTED.value, table.c.next_at.is_(None))
    return sa.or_(table.c.state.in_([DeliveryState.PROVEN.value, DeliveryState.DROPPED.value]), without_proof)


def _remove_file(path: Path) -> None:
    with suppress(FileNotFoundError):
        path.unlink()
    with suppress(OSError):  # it holds more, or is gone
        path.parent.rmdir()
