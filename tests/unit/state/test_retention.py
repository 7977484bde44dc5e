"""What is done with goes after its time, and nothing else ever does."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from node.actions import NotPossible, Operator
from node.core.identity import Patient, Registered
from node.core.job import DeliveryState, JobState, StudyState
from node.errors import NotFound
from node.state import arrivals, outbox, schema, work
from node.state.retention import Forgotten, Periods, retain
from tests.makers.ledger import START, Books, books, ct_slice
from tests.makers.scene import ROUTE, Scene

PERIODS = Periods(timedelta(days=7), timedelta(days=90), timedelta(days=730), {"research": timedelta(days=30)})
NOTHING = Forgotten(0, 0, 0)


class Kept(Scene):
    """A study of three images with its files, its job's results and one delivery, in the states a test asks for."""

    def __init__(self, found: Books, peer: str = "pacs") -> None:
        super().__init__(found, ROUTE)
        self.home = found.home
        for number in (1, 2, 3):
            facts = ct_slice(number)
            path = self.path(number)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"image")
            found.arrive(facts, peer=peer)
        self.pass_quiet_time()
        (self.first,) = self.jobs()
        self.results = self.home / "work" / self.first.id / "1" / "encode-1"
        self.results.mkdir(parents=True)
        (self.results / "seg.dcm").write_bytes(b"result")
        with found.ledger.write() as connection:
            connection.execute(schema.run.insert().values(job_id=self.first.id, run=1, started_at=found.clock()))
            self.delivery = outbox.add_delivery(connection, self.first, "pacs", found.clock()).id
        self.put(JobState.ENCODED, DeliveryState.ACCEPTED)

    def path(self, number: int) -> Path:
        facts = ct_slice(number)
        return self.home / "spool" / "instances" / facts.study_uid / f"{facts.sop_instance_uid}.dcm"

    def put(self, job: JobState, delivery: DeliveryState, next_at: datetime | None = None) -> None:
        with self.books.ledger.write() as connection:
            connection.execute(schema.job.update().values(state=job.value))
            connection.execute(schema.delivery.update().values(state=delivery.value, next_at=next_at))

    def put_study(self, state: StudyState) -> None:
        with self.books.ledger.write() as connection:
            connection.execute(schema.study.update().values(state=state.value))

    def after(self, **span: float) -> Forgotten:
        """What is forgotten so long after the start."""
        self.books.clock.at = START + timedelta(**span)
        return retain(self.books.ledger, self.home, PERIODS, self.books.clock())

    def files(self) -> int:
        return len(list((self.home / "spool").rglob("*.dcm")))


@pytest.fixture
def kept(tmp_path: Path, database_url: str) -> Iterator[Kept]:
    with books(tmp_path, database_url) as found:
        yield Kept(found)


def test_files_go_a_week_after_everything_is_delivered(kept: Kept) -> None:
    assert kept.after(days=6.9) == NOTHING
    assert kept.files() == 3
    assert kept.after(days=7.1) == Forgotten(1, 0, 0)
    assert kept.files() == 0
    assert not kept.path(1).parent.exists()
    assert kept.study().state is StudyState.PURGED
    assert kept.after(days=7.2) == NOTHING


def test_what_was_prepared_of_images_goes_with_them(kept: Kept) -> None:
    """A job that failed or was refused still has its volumes: as large as the images, and of the same patient."""
    prepared = [kept.home / "work" / kept.first.id / "1" / f"prepare-{attempt}" for attempt in (1, 2)]
    for folder in prepared:
        folder.mkdir()
        (folder / "ct.npy").write_bytes(b"volume")
    kept.put(JobState.FAILED, DeliveryState.DROPPED)

    kept.after(days=6.9)
    assert all(folder.exists() for folder in prepared)
    kept.after(days=7.1)
    assert not any(folder.exists() for folder in prepared)
    assert kept.results.exists()


@pytest.mark.parametrize("state", [DeliveryState.PROVEN, DeliveryState.DROPPED])
def test_proven_and_dropped_are_delivered(kept: Kept, state: DeliveryState) -> None:
    kept.put(JobState.ENCODED, state)

    assert kept.after(days=8).studies == 1


@pytest.mark.parametrize("state", [DeliveryState.WAITING, DeliveryState.SENDING, DeliveryState.PARKED])
def test_what_is_not_delivered_is_kept_for_ever(kept: Kept, state: DeliveryState) -> None:
    kept.put(JobState.ENCODED, state)

    assert kept.after(days=3650) == NOTHING
    assert kept.files() == 3
    assert kept.results.exists()


def test_what_is_accepted_and_not_yet_proven_is_kept(kept: Kept) -> None:
    kept.put(JobState.ENCODED, DeliveryState.ACCEPTED, next_at=START)

    assert kept.after(days=3650) == NOTHING


@pytest.mark.parametrize("state", [JobState.QUEUED, JobState.PREPARED, JobState.INFERRED])
def test_what_is_not_processed_is_kept_for_ever(kept: Kept, state: JobState) -> None:
    kept.put(state, DeliveryState.DROPPED)

    assert kept.after(days=3650) == NOTHING


@pytest.mark.parametrize("state", [StudyState.QUARANTINED, StudyState.GATHERING])
def test_a_study_that_is_held_or_still_arriving_is_kept_for_ever(kept: Kept, state: StudyState) -> None:
    kept.put_study(state)

    assert kept.after(days=80) == NOTHING
    assert kept.files() == 3


def test_a_peers_own_time_counts(tmp_path: Path) -> None:
    with books(tmp_path) as found:
        kept = Kept(found, peer="research")

        assert kept.after(days=29) == NOTHING
        assert kept.after(days=31).studies == 1


def test_results_go_after_ninety_days_and_facts_after_two_years(kept: Kept) -> None:
    assert kept.after(days=89) == Forgotten(1, 0, 0)
    assert kept.results.exists()
    assert kept.after(days=91) == Forgotten(0, 1, 0)
    assert not kept.results.exists()
    assert kept.after(days=729) == NOTHING
    assert kept.study().study_uid == ct_slice(1).study_uid
    assert kept.after(days=731) == Forgotten(0, 0, 1)
    with kept.books.ledger.read() as connection:
        assert connection.execute(schema.study.select()).all() == []
        assert connection.execute(schema.instance.select()).all() == []


def test_results_go_with_the_facts_about_them_where_these_go_first(kept: Kept) -> None:
    """Nobody would know any more when their time is over."""
    periods = Periods(timedelta(days=7), timedelta(days=90), timedelta(days=30), {})
    for days in (8, 31):
        kept.books.clock.at = START + timedelta(days=days)
        retain(kept.books.ledger, kept.home, periods, kept.books.clock())

    with kept.books.ledger.read() as connection:
        assert connection.execute(schema.job.select()).all() == []
    assert not kept.results.parents[1].exists()


def test_more_images_go_at_once_than_a_database_takes_values(kept: Kept) -> None:
    """PostgreSQL takes 65535 in a statement; after a weekend without the node as many are due."""
    study, count = kept.study().id, 70_000
    with kept.books.ledger.read() as connection:
        like = dict(connection.execute(schema.instance.select()).mappings().first())
    del like["id"]
    rows = ({**like, "study_id": study, "facts": None, "path": f"spool/instances/1/{one}.dcm"} for one in range(count))
    with kept.books.ledger.write() as connection:
        connection.execute(schema.instance.insert(), list(rows))

    assert kept.after(days=8).studies == 1
    with kept.books.ledger.read() as connection:
        assert connection.execute(schema.instance.select().where(schema.instance.c.path.is_not(None))).first() is None


def test_an_interrupted_purge_is_finished_at_the_next(kept: Kept) -> None:
    """Killed after the ledger said purged and before the files were gone."""
    kept.put_study(StudyState.PURGED)
    kept.after(days=8)

    assert kept.files() == 0


def test_a_late_image_of_a_purged_study_stays(kept: Kept) -> None:
    """Also one that was there before: the ledger knows its digest, the file is another."""
    kept.after(days=8)
    for number in (1, 9):
        kept.path(number).parent.mkdir(exist_ok=True)
        kept.path(number).write_bytes(b"late")
        kept.arrive(number)
    kept.after(days=80)
    with kept.books.ledger.read() as connection:
        rows = connection.execute(schema.instance.select().where(schema.instance.c.path.is_not(None))).all()

    assert kept.files() == 2
    assert {row.why for row in rows} == {arrivals.ALREADY_PURGED}


@pytest.mark.parametrize("act", ["again", "retry", "correct"])
def test_what_has_no_images_any_more_is_not_begun_again(kept: Kept, act: str) -> None:
    """It would fail, and the results that there are would be dropped, or told as failed."""
    operator = Operator(kept.books.ledger, kept.books.queue)
    kept.put(JobState.FAILED if act == "retry" else JobState.ENCODED, DeliveryState.ACCEPTED)
    assert kept.after(days=8).studies == 1
    before = kept.jobs()
    acts: dict[str, Callable[[], object]] = {
        "again": lambda: operator.again(kept.first.id, kept.books.clock()),
        "retry": lambda: operator.retry(kept.first.id, kept.books.clock()),
        "correct": lambda: operator.correct(kept.delivery, Registered(Patient("P2", ""), "A2"), kept.books.clock()),
    }

    with pytest.raises(NotPossible, match="have the study sent again"):
        acts[act]()
    assert kept.jobs() == before
    with kept.books.ledger.read() as connection:
        assert outbox.get_delivery(connection, kept.delivery).state is DeliveryState.ACCEPTED


def test_erasing_leaves_nothing(kept: Kept) -> None:
    operator = Operator(kept.books.ledger, kept.books.queue)
    count = operator.erase(kept.study().id, kept.home, kept.books.clock())

    assert count == 3
    assert kept.files() == 0
    assert not kept.results.exists()
    with kept.books.ledger.read() as connection, pytest.raises(NotFound):
        work.get_job(connection, kept.first.id)
    assert kept.history()[-1:] == ["study-erased"]


def test_what_runs_is_not_erased_under_its_feet(kept: Kept) -> None:
    with kept.books.ledger.write() as connection:
        connection.execute(schema.job.update().values(state=JobState.QUEUED.value))
        work.start_attempt(connection, work.Ticket(kept.first.id, 1, kept.first.stage, 1), "w", kept.books.clock())
    with pytest.raises(NotPossible, match="runs at this moment"):
        Operator(kept.books.ledger, kept.books.queue).erase(kept.study().id, kept.home, kept.books.clock())

    assert kept.files() == 3


def test_nobody_waits_to_write_while_what_is_due_is_looked_for(kept: Kept) -> None:
    """A peer whose studies go sooner has those of all others looked at, every hour."""
    while_writing: list[str] = []

    def keep(connection: sa.Connection, _cursor: object, statement: str, *_: object) -> None:
        if "FROM iso_study" in statement and "isocenter_writes" in connection.get_execution_options():
            while_writing.append(statement)

    periods = replace(PERIODS, study_of={"other": timedelta(days=1)})
    kept.books.clock.at = START + timedelta(days=3)
    sa.event.listen(kept.books.ledger.engine, "before_cursor_execute", keep)

    assert retain(kept.books.ledger, kept.home, periods, kept.books.clock()) == NOTHING
    assert while_writing == []


def test_nothing_goes_after_a_leap_of_the_clock_until_its_whole_time_has_passed(kept: Kept) -> None:
    """Ahead by years, or from years behind to the right time: either makes old what came yesterday."""
    leapt_at = START + timedelta(days=3650)

    def after(**span: float) -> Forgotten:
        return retain(kept.books.ledger, kept.home, PERIODS, leapt_at + timedelta(**span), steady_since=leapt_at)

    assert after() == after(days=6.9) == NOTHING
    assert after(days=7.1) == Forgotten(1, 0, 0)
    assert after(days=89) == NOTHING
    assert after(days=91) == Forgotten(0, 1, 0)
    assert after(days=729) == NOTHING
    assert after(days=731) == Forgotten(0, 0, 1)
