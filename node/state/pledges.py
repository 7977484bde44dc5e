"""Facts about what peers asked this node to keep, what it pledged, and which of that an archive was seen to hold."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from pydantic import TypeAdapter

from node.state import schema
from node.state.commitments import OUTCOMES
from node.state.mailbox import RequestLetter
from node.state.transaction import Reference

REFERENCES: TypeAdapter[tuple[Reference, ...]] = TypeAdapter(tuple[Reference, ...])


@dataclass(frozen=True)
class Pledge:
    """One transaction that a peer asked for. called_ae: the AE title of ours that it called.

    outcomes: as a Report has them, None until it is answered. tries: how often the peer could not be told. next_at:
    when it is to be called; None where it is told on the association on which it asked.
    """

    peer: str
    transaction_uid: str
    called_ae: str
    association_id: str
    received_at: datetime
    references: tuple[Reference, ...]
    outcomes: Mapping[str, int] | None
    tries: int
    next_at: datetime | None


def add(connection: sa.Connection, letter: RequestLetter) -> None:
    """Record what is asked. A transaction that is asked for again is answered again, and told anew."""
    table, sender = schema.pledge, letter.sender
    key = (table.c.peer == sender.peer, table.c.transaction_uid == letter.transaction_uid)
    connection.execute(table.delete().where(*key))
    connection.execute(
        table.insert().values(
            peer=sender.peer,
            transaction_uid=letter.transaction_uid,
            called_ae=sender.called_ae,
            association_id=sender.association_id,
            received_at=sender.at,
            asked_for=REFERENCES.dump_json(letter.references).decode(),
            tries=0,
        )
    )


def untold(connection: sa.Connection) -> list[Pledge]:
    """Those whose peer does not know the outcome yet, oldest first, answered or not."""
    table = schema.pledge
    query = sa.select(table).where(table.c.told_at.is_(None)).order_by(table.c.received_at)
    return [
        Pledge(
            row.peer,
            row.transaction_uid,
            row.called_ae,
            row.association_id,
            row.received_at,
            REFERENCES.validate_json(row.asked_for),
            None if row.outcomes is None else OUTCOMES.validate_json(row.outcomes),
            row.tries,
            row.next_at,
        )
        for row in connection.execute(query)
    ]


@dataclass(frozen=True)
class Kept:
    """A file of an instance. path: relative to the home."""

    study_id: str
    sop_class_uid: str
    sha256: str
    path: str


def kept(connection: sa.Connection, sop_uid: str) -> list[Kept]:
    """Files of an instance, of studies that are not purged."""
    instance, study = schema.instance, schema.study
    query = (
        sa.select(instance.c.study_id, instance.c.sop_class_uid, instance.c.sha256, instance.c.path)
        .select_from(instance.join(study))
        .where(instance.c.sop_uid == sop_uid, instance.c.path.is_not(None), study.c.state != "purged")
    )
    return [Kept(*row) for row in connection.execute(query)]


def record_outcomes(
    connection: sa.Connection, pledge: Pledge, outcomes: Mapping[str, int], archive: str, next_at: datetime | None
) -> None:
    """Record the answer; what is pledged stays until the archive is seen to hold it."""
    pledged = schema.pledged
    _change(connection, pledge, outcomes=OUTCOMES.dump_json(dict(outcomes)).decode(), next_at=next_at)
    for sop_uid in (uid for uid, outcome in outcomes.items() if outcome == 0):
        for study_id in {one.study_id for one in kept(connection, sop_uid)}:
            key = {"study_id": study_id, "sop_uid": sop_uid, "archive": archive}
            if connection.execute(sa.select(pledged.c.sop_uid).filter_by(**key)).first() is None:
                connection.execute(pledged.insert().values(key))


def record_told(connection: sa.Connection, pledge: Pledge, now: datetime) -> None:
    """The peer knows the outcome, or is told no more."""
    _change(connection, pledge, told_at=now)


def record_not_told(connection: sa.Connection, pledge: Pledge, next_at: datetime) -> None:
    """The peer could not be told; it is called at that time."""
    _change(connection, pledge, tries=pledge.tries + 1, next_at=next_at)


def _change(connection: sa.Connection, pledge: Pledge, **values: object) -> None:
    table = schema.pledge
    key = (table.c.peer == pledge.peer, table.c.transaction_uid == pledge.transaction_uid)
    connection.execute(table.update().where(*key).values(values))


@dataclass(frozen=True)
class Unseen:
    """Instances of one study that an archive is not seen to hold yet."""

    study_id: str
    study_uid: str
    archive: str
    series_uids: frozenset[str]
    sop_uids: frozenset[str]


def unseen(connection: sa.Connection) -> Iterable[Unseen]:
    """What archives are to be asked for, study by study."""
    table, study, instance = schema.pledged, schema.study, schema.instance
    query = (
        sa.select(table.c.study_id, study.c.study_uid, table.c.archive, table.c.sop_uid, instance.c.series_uid)
        .join(study, study.c.id == table.c.study_id)
        .join(instance, sa.and_(instance.c.study_id == table.c.study_id, instance.c.sop_uid == table.c.sop_uid))
        .where(table.c.seen_at.is_(None))
    )
    found: dict[tuple[str, str, str], list[tuple[str, str]]] = {}
    for study_id, study_uid, archive, sop_uid, series_uid in connection.execute(query):
        found.setdefault((study_id, study_uid, archive), []).append((series_uid, sop_uid))
    return [
        Unseen(*key, frozenset(series for series, _ in rows), frozenset(sop for _, sop in rows))
        for key, rows in found.items()
    ]


def record_seen(connection: sa.Connection, one: Unseen, held: Collection[str], now: datetime) -> None:
    """The archive holds these."""
    table = schema.pledged
    key = (table.c.study_id == one.study_id, table.c.archive == one.archive)
    for sop_uid in one.sop_uids & set(held):
        connection.execute(table.update().where(*key, table.c.sop_uid == sop_uid).values(seen_at=now))
