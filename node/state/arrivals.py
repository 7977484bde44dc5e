"""Facts about what arrived: instances, and the studies they belong to."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum

import sqlalchemy as sa

from node.core.identity import Patient, StudyUID, short_id
from node.core.job import STUDY_TRANSITIONS, StudyEvent, StudyState
from node.core.study import InstanceFacts, InstanceKind
from node.errors import NotFound, NotPossible
from node.state import schema
from node.state.ledger import note
from node.state.rows import FACTS, StudyRow


@dataclass(frozen=True)
class Received:
    """One published instance as the indexer read it. path is relative to the home.

    facts: None where the header could not be read; `why` then says so.
    """

    study_uid: StudyUID
    sop_uid: str
    facts: InstanceFacts | None
    path: str
    sha256: str
    size_bytes: int
    transfer_syntax_uid: str
    sop_class_uid: str
    received_at: datetime
    association_id: str
    peer: str | None
    calling_ae: str
    called_ae: str
    why: str = ""
    pixels_sha256: str | None = None


class Conflict(str, Enum):
    """How a second instance with the same UID differs from the first (design section 6)."""

    NONE = "none"
    NOTED = "noted"
    """The same pixels in another syntax, or coerced attributes: kept beside the first, nothing is held."""
    HELD = "held"
    """Another patient, accession or image: the study is held and the operator chooses."""


ALREADY_PURGED = "study already purged"

# What is asked for every instance is put together once: that takes longer than to carry it out.
_CHANGE = schema.study.update().where(
    schema.study.c.id == sa.bindparam("seen_id"), schema.study.c.state == sa.bindparam("seen_state")
)
_OF_UID = (
    sa.select(schema.study).where(schema.study.c.study_uid == sa.bindparam("uid")).order_by(schema.study.c.first_at)
)


@dataclass(frozen=True)
class Known:
    """What the ledger holds of the instances of a batch; indexing the same file twice changes nothing."""

    paths: set[str]
    sop_uids: set[str]

    def add(self, one: Received) -> None:
        """This one is in the ledger from now on."""
        self.paths.add(one.path)
        self.sop_uids.add(one.sop_uid)


def known_of(connection: sa.Connection, batch: Sequence[Received]) -> Known:
    """What is there already of the files and SOP Instance UIDs of a batch."""
    held = schema.instance.c
    query = sa.select(held.path, held.sop_uid).where(held.sop_uid.in_({one.sop_uid for one in batch}))
    rows = connection.execute(query).all()
    return Known({row.path for row in rows}, {row.sop_uid for row in rows})


def own_results_of(connection: sa.Connection, batch: Sequence[Received]) -> set[str]:
    """Which instances of a batch are results that this node made, by their exact UIDs."""
    query = sa.select(schema.result.c.sop_uid).where(schema.result.c.sop_uid.in_({one.sop_uid for one in batch}))
    return set(connection.execute(query).scalars())


def first_of(connection: sa.Connection, study_uid: str, sop_uid: str) -> tuple[InstanceFacts | None, str] | None:
    """Facts and path of the instance that holds this UID in the study, or None where there is none yet."""
    table = schema.instance.join(schema.study)
    query = (
        sa.select(schema.instance.c.facts, schema.instance.c.path)
        .select_from(table)
        .where(schema.study.c.study_uid == study_uid, schema.instance.c.sop_uid == sop_uid, schema.instance.c.in_force)
        .where(schema.instance.c.path.is_not(None))
    )
    row = connection.execute(query).first()
    if row is None:
        return None
    return (None if row.facts is None else FACTS.validate_json(row.facts)), row.path


def add_instance(connection: sa.Connection, one: Received, conflict: Conflict, now: datetime) -> StudyRow:
    """Record an instance and what it does to its study; call it only for a file that is not known yet."""
    kind = InstanceKind.UNREADABLE if one.facts is None else one.facts.kind
    study = _study_for(connection, one, now)
    if study.state is StudyState.PURGED:
        one = replace(one, why=ALREADY_PURGED)
        note(connection, now, "study-already-purged", one.sop_uid, study_id=study.id)
    connection.execute(
        schema.instance.insert(),
        {
            "study_id": study.id,
            "sop_uid": one.sop_uid,
            "series_uid": "" if one.facts is None else one.facts.series_uid,
            "sop_class_uid": one.sop_class_uid,
            "transfer_syntax_uid": one.transfer_syntax_uid,
            "kind": kind.value,
            "modality": None if one.facts is None else one.facts.modality,
            "sha256": one.sha256,
            "pixels_sha256": one.pixels_sha256,
            "size_bytes": one.size_bytes,
            "path": one.path,
            "in_force": conflict is Conflict.NONE,
            "received_at": one.received_at,
            "association_id": one.association_id,
            "facts": None if one.facts is None else FACTS.dump_json(one.facts).decode(),
            "why": one.why,
        },
    )
    if kind is InstanceKind.IMAGE and one.facts and one.facts.modality:
        _add_modality(connection, study, one.facts.modality)
    if kind is InstanceKind.OWN:
        note(connection, now, "own-result-came-back", one.sop_uid, study_id=study.id)
    elif kind is InstanceKind.UNREADABLE:
        note(connection, now, "instance-unreadable", f"{one.sop_uid}: {one.why}", study_id=study.id)
    if conflict is not Conflict.NONE:
        note(connection, now, f"conflict-{conflict.value}", f"{one.sop_uid}: {one.why}", study_id=study.id)
    if conflict is Conflict.HELD:
        change_study(connection, study, StudyEvent.HELD, now, why=one.why)
    elif kind is InstanceKind.IMAGE and conflict is Conflict.NONE:
        change_study(connection, study, StudyEvent.ARRIVED, now, association_id=one.association_id, last_at=now)
    return study


def _add_modality(connection: sa.Connection, study: StudyRow, modality: str) -> None:
    known = study.modalities.split()
    word = "-".join(modality.split())  # what a stranger wrote: a blank would be read as two
    if word not in known:
        words = " ".join(sorted([*known, word]))
        connection.execute(schema.study.update().where(schema.study.c.id == study.id).values(modalities=words))


def _study_for(connection: sa.Connection, one: Received, now: datetime) -> StudyRow:
    """The study's row, made where it is new. Two patients under one Study UID are never merged (design section 4)."""
    patient = one.facts.patient if one.facts else None
    rows = studies_of_uid(connection, one.study_uid)
    for row in rows:
        if patient is None or patient.same_as(Patient(row.patient_id, row.issuer)):
            return row
    held = bool(rows)
    patient = patient or Patient("", "")
    identity = short_id("s", one.study_uid, patient.patient_id, patient.issuer)
    facts = one.facts
    connection.execute(
        schema.study.insert().values(
            id=identity,
            study_uid=one.study_uid,
            patient_id=patient.patient_id,
            issuer=patient.issuer,
            accession=facts.accession_number if facts else None,
            study_date=facts.study_date if facts else None,
            description=facts.study_description if facts else None,
            state=(StudyState.QUARANTINED if held else StudyState.GATHERING).value,
            why=_shared_with(rows[0].id) if held else "",
            peer=one.peer,
            calling_ae=one.calling_ae,
            called_ae=one.called_ae,
            association_id=one.association_id,
            first_at=now,
            last_at=now,
        )
    )
    note(connection, now, "study-first-seen", f"from {one.calling_ae} to {one.called_ae}", study_id=identity)
    for row in rows if held else ():
        note(connection, now, "two-patients", f"study {identity} has the same Study Instance UID", study_id=row.id)
        if row.state is StudyState.GATHERING:
            change_study(connection, row, StudyEvent.HELD, now, why=_shared_with(identity))
    return get_study(connection, identity)


def _shared_with(other: str) -> str:
    return (
        f"two-patients: study {other} has the same Study Instance UID and another patient: find out which is right, "
        "release that one, and erase the other (`isocenter erase`)"
    )


def change_study(
    connection: sa.Connection, study: StudyRow, happened: StudyEvent, now: datetime, **values: object
) -> bool:
    """Apply an event by the table of core.job; False where the study has changed since `study` was read."""
    after = STUDY_TRANSITIONS.get((study.state, happened))
    if after is None:
        return False
    if after is not study.state:
        note(connection, now, f"study-{after.value}", str(values.get("why", "")), study_id=study.id)
    seen = {"seen_id": study.id, "seen_state": study.state.value}
    return connection.execute(_CHANGE, {**seen, "state": after.value, **values}).rowcount == 1


def came_twice(connection: sa.Connection, study_id: str) -> bool:
    """Whether there are images of which a later one came with other content."""
    table = schema.instance.c
    beside = sa.exists().where(table.study_id == study_id, table.path.is_not(None), ~table.in_force)
    return bool(connection.execute(sa.select(beside)).scalar_one())


def put_latest_in_force(connection: sa.Connection, study_id: str) -> None:
    """Of instances that came more than once with other content, let the latest count instead of the first."""
    table = schema.instance
    there = sa.and_(table.c.study_id == study_id, table.c.path.is_not(None))
    latest = sa.select(sa.func.max(table.c.id)).where(there).group_by(table.c.sop_uid).having(sa.func.count() > 1)
    ids = list(connection.execute(latest).scalars())
    uids = sa.select(table.c.sop_uid).where(table.c.id.in_(ids))
    doubled = list(connection.execute(uids).scalars())
    connection.execute(table.update().where(there, table.c.sop_uid.in_(doubled)).values(in_force=table.c.id.in_(ids)))


def studies_of_uid(connection: sa.Connection, study_uid: str) -> list[StudyRow]:
    """Every study of that Study Instance UID: one, unless two patients share it."""
    return [StudyRow.of(row) for row in connection.execute(_OF_UID, {"uid": study_uid}).mappings()]


def get_study(connection: sa.Connection, key: str) -> StudyRow:
    """The study of that short id or Study Instance UID. Raises NotFound, and NotPossible for a UID that two patients
    share: whoever means one of them must not get the other."""
    query = sa.select(schema.study).where(sa.or_(schema.study.c.id == key, schema.study.c.study_uid == key))
    rows = connection.execute(query.order_by(schema.study.c.first_at)).mappings().all()
    if not rows:
        raise NotFound(f"no study {key!r} is known; `isocenter studies` lists them")
    if len(rows) > 1:
        ids = " or ".join(row["id"] for row in rows)
        raise NotPossible(f"two patients have the Study Instance UID {key}: name the study by its id, {ids}")
    return StudyRow.of(rows[0])


def gathering_studies(connection: sa.Connection) -> list[StudyRow]:
    """Studies that are not complete yet."""
    query = sa.select(schema.study).where(schema.study.c.state == StudyState.GATHERING.value)
    return [StudyRow.of(row) for row in connection.execute(query).mappings()]


def find_gathering(connection: sa.Connection, study_id: str) -> StudyRow | None:
    """The study of that id, None where it is not gathering any more."""
    table = schema.study
    query = sa.select(table).where(table.c.id == study_id, table.c.state == StudyState.GATHERING.value)
    row = connection.execute(query).mappings().first()
    return None if row is None else StudyRow.of(row)


@dataclass(frozen=True)
class Held:
    """One instance of a study: its facts, the digest of its pixels (of its data set where it has none), and its path
    relative to the home."""

    facts: InstanceFacts
    content_sha256: str
    path: str


def newest_instance(connection: sa.Connection, study_id: str) -> int | None:
    """The number of a study's last instance: another one where any came since."""
    query = sa.select(sa.func.max(schema.instance.c.id)).where(schema.instance.c.study_id == study_id)
    return connection.execute(query).scalar()


def instances_in_force(connection: sa.Connection, study_id: str, series_uids: Sequence[str] = ()) -> list[Held]:
    """Readable instances of a study, without conflicting second copies and purged ones; of some series only where
    these are named."""
    table = schema.instance
    is_there = sa.and_(table.c.in_force, table.c.facts.is_not(None), table.c.path.is_not(None))
    query = sa.select(table).where(table.c.study_id == study_id, is_there)
    if series_uids:
        query = query.where(table.c.series_uid.in_(series_uids))
    rows = connection.execute(query.order_by(table.c.id))
    return [Held(FACTS.validate_json(row.facts), row.pixels_sha256 or row.sha256, row.path) for row in rows]
