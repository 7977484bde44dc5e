"""A real ledger on a file, with its queue, and instances to put into it."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from node.core.identity import ClassUID, InstanceUID, Patient, SeriesUID, StudyUID, derived_uid
from node.core.job import Priority
from node.core.study import FrameFacts, InstanceFacts, InstanceKind
from node.jobs.engine import prepare_engine
from node.state import schema, work
from node.state.arrivals import Conflict, Received, add_instance
from node.state.bells import Bells
from node.state.ledger import Ledger
from node.state.queue import Queue
from node.state.rows import JobRow, NewJob

START = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)
CT = ClassUID("1.2.840.10008.5.1.4.1.1.2")


@dataclass
class TurnedClock:
    """A clock that moves when a test says so."""

    at: datetime = START
    _set_by: timedelta = timedelta(0)

    def __call__(self) -> datetime:
        return self.at

    def steady(self) -> float:
        """Seconds by a clock that nobody sets."""
        return (self.at - self._set_by).timestamp()

    def forward(self, **span: float) -> None:
        """Time passes."""
        self.at += timedelta(**span)

    def set_by(self, **span: float) -> None:
        """Somebody sets the clock, and no time passes."""
        self.at += timedelta(**span)
        self._set_by += timedelta(**span)


@dataclass(frozen=True)
class Books:
    """A ledger with its queue and its clock."""

    home: Path
    url: str
    ledger: Ledger
    queue: Queue
    clock: TurnedClock

    def received(self, facts: InstanceFacts, *, association: str = "a1", peer: str | None = "pacs") -> Received:
        """An instance that arrives now, as the indexer has read it."""
        return Received(
            study_uid=facts.study_uid,
            sop_uid=facts.sop_instance_uid,
            facts=facts,
            path=f"spool/instances/{facts.study_uid}/{facts.sop_instance_uid}.dcm",
            sha256="00",
            size_bytes=1,
            transfer_syntax_uid=facts.transfer_syntax_uid,
            sop_class_uid=facts.sop_class_uid,
            received_at=self.clock(),
            association_id=association,
            peer=peer,
            calling_ae="PACS",
            called_ae="ISOCENTER",
        )

    def arrive(
        self,
        facts: InstanceFacts,
        *,
        association: str = "a1",
        peer: str | None = "pacs",
        path: str = "",
        conflict: Conflict = Conflict.NONE,
    ) -> None:
        """An instance arrives now and is indexed."""
        one = self.received(facts, association=association, peer=peer)
        one = replace(one, path=path or one.path)
        with self.ledger.write() as connection:
            add_instance(connection, one, conflict, self.clock())


@contextmanager
def books(folder: Path, url: str | None = None) -> Iterator[Books]:
    """Books with a home in a folder, on a database that has its tables (the fixture `database_url`), or on a new file
    there."""
    url = url or f"sqlite:///{sqlite_with_tables(folder)}"
    with closing(Ledger(url)) as ledger, closing(Queue(ledger.engine, Bells(folder))) as queue:
        yield Books(folder, url, ledger, queue, TurnedClock())


def queued_job(found: Books, name: str) -> JobRow:
    """A job of a study of one image, which arrived a moment ago at the latest; the queue does not know it."""
    with found.ledger.write() as connection:
        study = connection.execute(schema.study.select()).first()
    if study is None:
        found.arrive(ct_slice(1))
        return queued_job(found, name)
    with found.ledger.write() as connection:
        new = NewJob(name, name, study.id, "r", "m", "1", "d", "i", {}, (), incomplete=False, priority=Priority.ROUTINE)
        made = work.add_job(connection, new, found.clock())
    assert made is not None
    return made


def is_live(queue: Queue, workflow_id: str) -> bool:
    """Whether that workflow waits, is delayed or runs."""
    return workflow_id in queue.live({workflow_id: None})


def sqlite_with_tables(folder: Path) -> Path:
    """An SQLite file that holds the tables of ledger and engine, made where there is none yet."""
    path = folder / "ledger.sqlite"
    if not path.exists():
        path.touch(mode=0o600)
        path.write_bytes(_tables())
    return path


@cache
def _tables() -> bytes:
    """Such a file as migrations and engine make it: once, because that takes longer than most tests."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "ledger.sqlite"
        with closing(Ledger(f"sqlite:///{path}")) as ledger:
            ledger.migrate()
            prepare_engine(f"sqlite:///{path}")
            with ledger.engine.connect() as connection:
                connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        return path.read_bytes()


def ct_slice(
    number: int, *, study: str = "study", series: str = "series", patient: str = "P1", **changes: object
) -> InstanceFacts:
    """The facts of one axial CT slice, 5 mm apart; `changes` replace fields."""
    frame = FrameFacts((0.0, 0.0, 5.0 * number), (1, 0, 0, 0, 1, 0), (0.8, 0.8), 5.0, ("ORIGINAL", "PRIMARY", "AXIAL"))
    values: dict[str, object] = {
        "sop_instance_uid": InstanceUID(derived_uid(study, series, str(number))),
        "sop_class_uid": CT,
        "transfer_syntax_uid": "1.2.840.10008.1.2.1",
        "study_uid": StudyUID(derived_uid(study)),
        "series_uid": SeriesUID(derived_uid(study, series)),
        "kind": InstanceKind.IMAGE,
        "patient": Patient(patient, ""),
        "modality": "CT",
        "series_number": 1,
        "instance_number": number,
        "frame_of_reference_uid": derived_uid(study, "frame"),
        "rows": 512,
        "columns": 512,
        "has_pixels": True,
        "frames": (frame,),
        **changes,
    }
    return InstanceFacts(**values)
