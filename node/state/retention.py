"""Forgets what is done with: files of studies, then their results, then the facts; never what nobody has finished with.

Everything is taken from the ledger first and from the disk after that, and may be interrupted and done again.
"""

import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import sqlalchemy as sa

from node.core.batches import in_batches
from node.core.clock_step import LONG_AGO
from node.core.job import JOB_ENDED, DeliveryState, Stage, StudyEvent, StudyState
from node.state import arrivals, schema
from node.state.arrivals import ALREADY_PURGED
from node.state.ledger import Ledger, note
from node.state.rows import StudyRow

ENDED = [state.value for state in JOB_ENDED]
AT_ONCE = 500
"""Rows that a transaction removes: others wait to write meanwhile."""
PURGED_AT_ONCE = 100
"""Studies that one marks; each has its history written."""


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
    _remove_purged_files(ledger, home)
    jobs = _remove_results(ledger, home, before(periods.result))
    return Forgotten(studies, jobs, _forget_facts(ledger, home, before(periods.ledger)))


def _purge(ledger: Ledger, periods: Periods, now: datetime, before: Before) -> int:
    """Mark studies whose files are due to go. They are found before others have to wait to write."""
    of_its_own = schema.study.c.peer.in_(list(periods.study_of))
    due = [_due(before(periods.study)).where(sa.or_(schema.study.c.peer.is_(None), ~of_its_own))]
    due += [_due(before(period)).where(schema.study.c.peer == peer) for peer, period in periods.study_of.items()]
    count = 0
    for query in due:
        with ledger.read() as connection:
            keys = [str(row.id) for row in connection.execute(query)]
        for some in in_batches(keys, PURGED_AT_ONCE):
            with ledger.write() as connection:
                for row in connection.execute(query.where(schema.study.c.id.in_(some))).mappings().all():
                    study = StudyRow.of(row)
                    count += arrivals.change_study(connection, study, StudyEvent.PURGED, now, why="kept for its time")
    return count


def _due(before: datetime) -> sa.Select[tuple[object, ...]]:
    """Complete studies of which nothing came since then, with which nobody has anything left to do."""
    study, job, delivery, pledged = schema.study, schema.job, schema.delivery, schema.pledged
    is_at_work = sa.or_(job.c.state.not_in(ENDED), job.c.changed_at >= before)
    is_on_its_way = sa.or_(~_is_delivered(), delivery.c.changed_at >= before)
    has_deliveries = sa.exists().where(delivery.c.job_id == job.c.id, is_on_its_way)
    is_wanted = sa.exists().where(job.c.study_id == study.c.id, sa.or_(is_at_work, has_deliveries))
    is_pledged = sa.exists().where(pledged.c.study_id == study.c.id, pledged.c.seen_at.is_(None))
    is_old = (study.c.last_at < before, study.c.completed_at < before)
    return sa.select(study).where(study.c.state == StudyState.COMPLETE.value, *is_old, ~is_wanted, ~is_pledged)


def _remove_purged_files(ledger: Ledger, home: Path) -> None:
    """Remove the files of purged studies and what was prepared of them, also what an interruption left; late images
    stay."""
    instance, study, job = schema.instance, schema.study, schema.job
    has_files = (instance.c.path.is_not(None), instance.c.why != ALREADY_PURGED)
    due = sa.exists().where(instance.c.study_id == study.c.id, *has_files)
    with ledger.read() as connection:
        query = sa.select(study.c.id).where(study.c.state == StudyState.PURGED.value, due)
        studies = connection.execute(query).scalars().all()
    for study_id in studies:
        with ledger.read() as connection:
            jobs = connection.execute(sa.select(job.c.id).where(job.c.study_id == study_id)).scalars().all()
        for identity in jobs:  # all attempts at it: not before, as one that was given up may be writing still
            for folder in (home / "work" / identity).glob(f"*/{Stage.PREPARE.value}-*"):
                shutil.rmtree(folder, ignore_errors=True)
        while last := _remove_some_files(ledger, home, study_id, *has_files).last:
            with ledger.write() as connection:  # the same ones: what comes to a purged study has come too late
                those = (instance.c.study_id == study_id, instance.c.id <= last, *has_files)
                connection.execute(instance.update().where(*those).values(path=None))


@dataclass(frozen=True)
class _Removed:
    """How many files were removed, and the number of the last instance of which that was one; 0 where there is none."""

    files: int
    last: int


def _remove_some_files(ledger: Ledger, home: Path, study_id: str, *where: sa.ColumnElement[bool]) -> _Removed:
    """Remove the files of the first instances of a study, no more of them than one transaction may change."""
    table = schema.instance
    query = sa.select(table.c.id, table.c.path).where(table.c.study_id == study_id, *where)
    with ledger.read() as connection:
        rows = connection.execute(query.order_by(table.c.id).limit(AT_ONCE)).all()
    paths = [row.path for row in rows if row.path is not None]
    for path in paths:
        _remove_file(home / path)
    return _Removed(len(paths), rows[-1].id if rows else 0)


def _remove_results(ledger: Ledger, home: Path, before: datetime) -> int:
    """Remove the work of jobs that ended long ago; a folder that is gone is what tells that it was done."""
    job, delivery = schema.job, schema.delivery
    is_kept = sa.exists().where(
        delivery.c.job_id == job.c.id, sa.or_(~_is_delivered(), delivery.c.changed_at >= before)
    )
    due = sa.select(job.c.id).where(job.c.state.in_(ENDED), job.c.changed_at < before, ~is_kept)
    names, count = [folder.name for folder in (home / "work").glob("*")], 0
    for some in in_batches(names, AT_ONCE):
        with ledger.read() as connection:
            found = connection.execute(due.where(job.c.id.in_(some))).scalars().all()
        for identity in found:
            shutil.rmtree(home / "work" / identity, ignore_errors=True)
        count += len(found)
    return count


def _forget_facts(ledger: Ledger, home: Path, before: datetime) -> int:
    """Results and late images go with the last facts about them: without these nobody would know when to remove
    them."""
    table = schema.study
    query = sa.select(table.c.id).where(table.c.state == StudyState.PURGED.value, table.c.last_at < before)
    with ledger.read() as connection:
        found = connection.execute(query).scalars().all()
    for study_id in found:
        _forget_study(ledger, home, study_id, lambda _connection, _files: None)
    _forget_rows(ledger, schema.association, schema.association.c.started_at < before)
    _forget_rows(ledger, schema.pledge, schema.pledge.c.received_at < before)
    _forget_rows(ledger, schema.event, schema.event.c.at < before, schema.event.c.study_id.is_(None))
    return len(found)


def _forget_rows(ledger: Ledger, table: sa.Table, *where: sa.ColumnElement[bool]) -> None:
    """Remove rows, a transaction's worth at a time."""
    key = sa.tuple_(*table.primary_key.columns)
    some = sa.select(*table.primary_key.columns).where(*where).limit(AT_ONCE)
    is_left = True
    while is_left:
        with ledger.write() as connection:
            is_left = connection.execute(table.delete().where(key.in_(some))).rowcount == AT_ONCE


def _forget_study(ledger: Ledger, home: Path, study_id: str, at_last: Callable[[sa.Connection, int], None]) -> int:
    """Remove what is left of a purged study: its results, its files and every fact; returns how many files that were.

    at_last: called with that number in the last transaction. Files go before their rows, which tell where they lie:
    what interrupts this may be followed by doing it again.
    """
    instance, job = schema.instance, schema.job
    with ledger.read() as connection:
        jobs = connection.execute(sa.select(job.c.id).where(job.c.study_id == study_id)).scalars().all()
    for identity in jobs:
        shutil.rmtree(home / "work" / identity, ignore_errors=True)
    for table in (schema.event, schema.pledged):
        _forget_rows(ledger, table, table.c.study_id == study_id)
    count = 0
    while True:
        removed = _remove_some_files(ledger, home, study_id)
        count += removed.files
        with ledger.write() as connection:
            those = (instance.c.study_id == study_id, instance.c.id <= removed.last)
            connection.execute(instance.delete().where(*those))
            if arrivals.newest_instance(connection, study_id) is None:  # none came meanwhile
                _forget(connection, study_id, jobs)
                at_last(connection, count)
                return count


def _forget(connection: sa.Connection, study_id: str, jobs: Sequence[str]) -> None:
    """Remove the facts about a study that has no instances any more. Jobs and deliveries are named one by one:
    PostgreSQL would go through whole tables for those of a subquery."""
    of_jobs = sa.select(schema.delivery.c.id).where(schema.delivery.c.job_id.in_(jobs))
    deliveries = connection.execute(of_jobs).scalars().all()
    for table in (schema.sent, schema.commitment):
        connection.execute(table.delete().where(table.c.delivery_id.in_(deliveries)))
    for table in (schema.event, schema.delivery, schema.result, schema.attempt, schema.run):
        connection.execute(table.delete().where(table.c.job_id.in_(jobs)))
    for table in (schema.event, schema.decision, schema.pledged, schema.correction, schema.job):
        connection.execute(table.delete().where(table.c.study_id == study_id))
    connection.execute(schema.study.delete().where(schema.study.c.id == study_id))


def erase(ledger: Ledger, home: Path, study_id: str, now: datetime, stop: Callable[[sa.Connection], None]) -> int:
    """Remove a study with its results and all facts, at once; returns how many files that were.

    stop: lets nothing more of it start, in the first transaction.
    """
    with ledger.write() as connection:
        stop(connection)
        study = arrivals.get_study(connection, study_id)
        arrivals.change_study(connection, study, StudyEvent.ERASED, now, why="it is erased")

    def noted(connection: sa.Connection, files: int) -> None:
        note(connection, now, "study-erased", f"study {study_id}, {files} files")

    return _forget_study(ledger, home, study_id, noted)


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
