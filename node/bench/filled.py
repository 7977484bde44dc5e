"""A ledger as a busy site has it after a year: filled directly, without a file, to see how the window answers then."""

import random
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta

import sqlalchemy as sa

from node.core.identity import derived_uid
from node.state import schema
from node.state.ledger import Ledger

BATCH = 2000
EVENTS = (
    "study-first-seen", "study-complete", "route-taken", "route-not-taken", "job-queued", "job-prepared",
    "job-inferred", "job-encoded", "delivery-accepted", "delivery-proven",
)  # fmt: skip
STAGES = (("prepare", 2.0), ("infer", 20.0), ("encode", 4.0))
SENDERS = tuple(f"CT{number}" for number in range(1, 21))
EVERY_S = 300.0
Row = Mapping[str, object]


def fill(ledger: Ledger, studies: int, now: datetime) -> int:
    """Write that many studies, each with its instances, job, attempts, results, delivery and ten events; the newest is
    five minutes old. Returns how many events there are then."""
    chance = random.Random(1)  # noqa: S311  nothing is secret here
    for begin in range(0, studies, BATCH):
        rows: dict[sa.Table, list[Row]] = {}
        for number in range(begin, min(begin + BATCH, studies)):
            for table, row in _study(number, now - timedelta(seconds=EVERY_S * (studies - number)), chance):
                rows.setdefault(table, []).append(row)
        with ledger.write() as connection:
            for table in schema.metadata.sorted_tables:
                if table in rows:
                    connection.execute(table.insert(), rows[table])
    _settle(ledger.engine)
    return studies * len(EVENTS)


def is_empty(ledger: Ledger) -> bool:
    """Whether no study is there yet."""
    with ledger.read() as connection:
        return connection.execute(sa.select(schema.study.c.id).limit(1)).first() is None


def _settle(engine: sa.Engine) -> None:
    """Let PostgreSQL see what it holds, as it does by itself while it is in use; on SQLite nobody does."""
    if engine.dialect.name == "postgresql":
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("VACUUM ANALYZE")


def _study(number: int, at: datetime, chance: random.Random) -> Iterator[tuple[sa.Table, Row]]:
    study, job, delivery = f"s{number:08d}", f"j{number:08d}", f"d{number:08d}"
    uid, sender = derived_uid("filled", str(number)), chance.choice(SENDERS)
    job_state, delivery_state = _ended(chance)
    modality = chance.choices(("CT", "MR", "PT"), (90, 9, 1))[0]
    yield schema.study, {
        "id": study, "study_uid": uid, "patient_id": f"P{number // 2:07d}", "issuer": "", "accession": f"A{number:08d}",
        "study_date": at.strftime("%Y%m%d"), "description": "Chest", "modalities": modality, "state": "complete",
        "why": "quiet for 10 s", "peer": "pacs", "calling_ae": sender, "called_ae": "ISOCENTER",
        "association_id": f"a{number}", "first_at": at, "last_at": at, "completed_at": at, "generation": 1,
        "incomplete": False, "ordered": False,
    }  # fmt: skip
    yield schema.association, {
        "id": f"a{number}", "calling_ae": sender, "called_ae": "ISOCENTER", "address": "192.0.2.1", "started_at": at,
        "ended_at": at, "outcome": "released", "why": "", "stored": 3, "refused": 0,
    }  # fmt: skip
    for image in range(3):
        yield schema.instance, {
            "study_id": study, "sop_uid": f"{uid}.{image}", "series_uid": f"{uid}.9", "sop_class_uid": "1.2",
            "transfer_syntax_uid": "1.2.1", "kind": "image", "modality": modality, "sha256": "0" * 64,
            "size_bytes": 1 << 19, "path": f"spool/{number}/{image}", "in_force": True, "received_at": at,
            "association_id": f"a{number}", "facts": None, "why": "",
        }  # fmt: skip
    yield schema.decision, {
        "study_id": study, "generation": 1, "route": "lung-ct", "verdict": "taken", "why": "", "job_id": job, "at": at,
    }  # fmt: skip
    yield schema.job, {
        "id": job, "key": job, "study_id": study, "route": "lung-ct" if number % 10 else "other", "model": "lung-ct",
        "model_version": "1", "model_digest": "", "input_digest": "", "inputs": "{}", "destinations": '["pacs"]',
        "incomplete": False, "priority": 3, "state": job_state, "stage": "encode", "run": 1, "turn": 1,
        "reason": None, "message": "", "created_at": at, "changed_at": at,
    }  # fmt: skip
    yield schema.run, {"job_id": job, "run": 1, "started_at": at}
    for stage, seconds in STAGES:
        ended = at + timedelta(seconds=seconds * (0.5 + chance.random()))
        yield schema.attempt, {
            "job_id": job, "run": 1, "stage": stage, "turn": 1, "executor": "w", "started_at": at, "ended_at": ended,
            "outcome": "done", "message": "", "peak_mb": 900,
        }  # fmt: skip
    if job_state == "encoded":
        yield schema.result, {
            "sop_uid": f"{uid}.8", "job_id": job, "run": 1, "kind": "seg", "series_uid": f"{uid}.7",
            "sop_class_uid": "1.2", "transfer_syntax_uid": "1.2.1", "path": "", "position": 0,
        }  # fmt: skip
        yield schema.delivery, {
            "id": delivery, "job_id": job, "run": 1, "destination": "pacs", "state": delivery_state, "attempt": 2,
            "created_at": at, "first_try_at": at, "next_at": None,
            "message": "answered A900" * (delivery_state == "parked"),
            "changed_at": at + timedelta(seconds=chance.lognormvariate(3.6, 0.5)), "lacking": 0,
        }  # fmt: skip
    yield from _events(study, job, delivery, at)


def _ended(chance: random.Random) -> tuple[str, str]:
    """States of a job and its delivery: nearly everything went well."""
    job = chance.choices(("encoded", "refused", "failed"), (95, 4.9, 0.1))[0]
    return job, chance.choices(("proven", "parked", "waiting"), (99.8, 0.1, 0.1))[0]


def _events(study: str, job: str, delivery: str, at: datetime) -> Iterator[tuple[sa.Table, Row]]:
    for number, name in enumerate(EVENTS):
        of: Sequence[str | None] = (None, None, delivery) if name.startswith("delivery") else (study, job, None)
        yield schema.event, {
            "at": at + timedelta(seconds=number), "name": name, "study_id": of[0],
            "job_id": job if number > 3 else None, "delivery_id": of[2], "message": "as it should be",
        }  # fmt: skip
