"""Faults that the ledger tells: what failed, what waits for a person, what does not agree with the disk."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import sqlalchemy as sa

from node.core.job import DeliveryState, JobState, StudyState
from node.errors import AlreadyRunning, LedgerUnusable
from node.state import pauses, schema
from node.state.database import is_current, revision
from node.state.hold import check_tenure
from node.state.ledger import Ledger
from node.state.owner import check_owner
from node.state.postgres import forgetful, poor_encoding, read_only, too_few_connections, unfit

Told = Iterator[tuple[str, str]]
FUTURE = timedelta(minutes=5)
LONG = timedelta(days=1)
LATELY = timedelta(days=7)
ARCHIVED_WITHIN = timedelta(days=3)
"""An archive has by then what it is to hold, also after a weekend."""
STUDY, JOB, DELIVERY, DECISION, INSTANCE = (
    schema.study.c,
    schema.job.c,
    schema.delivery.c,
    schema.decision.c,
    schema.instance.c,
)


@dataclass(frozen=True)
class Counted:
    """A fault that is so many rows of a table. words: with {count}."""

    kind: str
    table: sa.Table
    condition: Callable[[datetime], sa.ColumnElement[bool]]
    words: str


COUNTED: tuple[Counted, ...] = (
    Counted(
        "held",
        schema.study,
        lambda _: STUDY.state == StudyState.QUARANTINED.value,
        "studies held for a person to decide: {count}; `isocenter studies` says why",
    ),
    Counted(
        "failed",
        schema.job,
        lambda now: sa.and_(JOB.state == JobState.FAILED.value, JOB.changed_at > now - LATELY),
        "jobs that failed within a week: {count}; `isocenter jobs` says why; mend that, then `isocenter retry`",
    ),
    Counted(
        "parked",
        schema.delivery,
        lambda _: DELIVERY.state == DeliveryState.PARKED.value,
        "deliveries that wait for a person: {count}; `isocenter deliveries` says what to change",
    ),
    Counted(
        "undelivered",
        schema.delivery,
        lambda now: sa.and_(
            DELIVERY.state.in_([DeliveryState.WAITING.value, DeliveryState.SENDING.value]),
            DELIVERY.created_at < now - LONG,
        ),
        "deliveries that have not arrived for a day: {count}; `isocenter deliveries` says what the destination answers",
    ),
    Counted(
        "unproven",
        schema.delivery,
        lambda now: sa.and_(
            DELIVERY.state == DeliveryState.ACCEPTED.value,
            DELIVERY.next_at.is_not(None),
            DELIVERY.changed_at < now - LONG,
        ),
        "deliveries accepted a day ago and not proven yet: {count}; look at their destination",
    ),
    Counted(
        "undecided",
        schema.decision,
        lambda now: sa.and_(DECISION.verdict == "undecided", DECISION.at > now - LATELY),
        "routes that could not decide within a week: {count}; `isocenter route explain` says what is absent",
    ),
    Counted(
        "clock",
        schema.study,
        lambda now: STUDY.last_at > now + FUTURE,
        "studies that arrived in the future: {count}; the clock was set back, set it right (NTP)",
    ),
    Counted(
        "unreadable",
        schema.instance,
        lambda now: sa.and_(sa.text("kind = 'unreadable'"), INSTANCE.received_at > now - LATELY),
        "images of this week that cannot be read: {count}; `isocenter instances STUDY` says why",
    ),
)


def faults(ledger: Ledger, home: Path, now: datetime, processes: int) -> Told:
    """Everything that the ledger shows. processes: so many of the node use it.

    Raises LedgerUnusable where it cannot be read, ConfigurationInvalid where it is another home's.
    """
    try:
        if ledger.engine.dialect.name == "postgresql":
            yield from _of_postgres(ledger, processes)
        if revision(ledger.engine) is None:
            yield from lost(home)
            return
        if not is_current(ledger.engine):
            yield (
                "ledger-version",
                "the ledger is of another version: start the node, which brings an older one up to date and refuses a "
                "newer one",
            )
            return
        check_owner(ledger, home)
        try:
            check_tenure(ledger, home)
        except AlreadyRunning as error:
            yield "ledger-taken", str(error)
        with ledger.read() as connection:
            yield from _damage(connection)
            for one in COUNTED:
                query = sa.select(sa.func.count()).select_from(one.table).where(one.condition(now))
                count = int(connection.execute(query).scalar_one())
                if count:
                    yield one.kind, one.words.format(count=count)
            for pause in pauses.paused(connection):
                since = f"{pause.at:%Y-%m-%d %H:%M} UTC"
                yield "paused", f"{pause.kind.value} {pause.name} is paused since {since}: `isocenter resume` ends that"
            yield from _unseen(connection, now)
            kept = connection.execute(sa.select(INSTANCE.path).where(INSTANCE.path.is_not(None))).scalars().all()
        # Not within the transaction: the disk may take longer than a database waits for who is silent there.
        yield from _missing(kept, home)
    except sa.exc.DBAPIError as error:
        words = f"the ledger cannot be read ({error.orig}): restore a backup, or look at its disk"
        raise LedgerUnusable(words) from error


def lost(home: Path) -> Told:
    """No ledger is there: the start makes it. In a home that holds images there was one."""
    if next((home / "spool" / "instances").glob("*/*.dcm"), None) is not None:
        yield (
            "ledger-lost",
            f"{home} holds images, and its ledger is not there: correct state.database_url (commands must know it as "
            "the node does), or restore a backup. "
            "Started as it is, the node analyses all of them anew, and sends their results once more",
        )


def _of_postgres(ledger: Ledger, processes: int) -> Told:
    with ledger.read() as connection:
        for words in unfit(connection):
            yield "ledger-database", words
        if words := poor_encoding(connection):
            yield "ledger-encoding", words
        if words := read_only(connection):
            yield "ledger-read-only", words
        for words in forgetful(connection):
            yield "ledger-forgetful", words
        if words := too_few_connections(connection, processes):
            yield "ledger-connections", words


def _damage(connection: sa.Connection) -> Told:
    if connection.dialect.name == "sqlite":
        told = connection.exec_driver_sql("PRAGMA quick_check(1)").scalar_one()
        if told != "ok":
            yield "ledger-damaged", f"the ledger's file is damaged ({told}): stop the node, and restore a backup"


def _unseen(connection: sa.Connection, now: datetime) -> Told:
    """What was pledged stays until its archive holds it, and fills the disk where that never comes."""
    pledged = schema.pledged.c
    query = (
        sa.select(pledged.archive, sa.func.count())
        .join_from(schema.pledged, schema.study)
        .where(pledged.seen_at.is_(None), STUDY.last_at < now - ARCHIVED_WITHIN)
        .group_by(pledged.archive)
        .order_by(pledged.archive)
    )
    for archive, count in connection.execute(query):
        yield (
            "pledged-unseen",
            f"{count} pledged images came {ARCHIVED_WITHIN.days} days ago or earlier, and archive {archive} was "
            "not seen to hold them: they are kept until it does; send them there, or mend how it is asked",
        )


def _missing(kept: Iterable[str], home: Path) -> Told:
    missing = sum(not (home / path).exists() for path in kept)
    if missing:
        yield "files-missing", f"{missing} images of the ledger are not on the disk: restore them, or send them again"
