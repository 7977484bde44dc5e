"""However much there is to do at once, others get their turn to write in between: no transaction changes many rows."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from node.actions import Operator
from node.core.job import JobState, StudyState
from node.core.pausable import Pausable
from node.state import arrivals, outbox, retention, schema, work
from node.state.arrivals import Conflict
from node.state.retention import Periods
from node.state.rows import JobRow
from tests.makers.ledger import START, Books, books, ct_slice, is_live
from tests.makers.scene import ROUTE, Scene

MANY = 700
MOST_ROWS = 600
"""About so many take a twentieth of a second."""
LONG_AGO = Periods(timedelta(days=7), timedelta(days=7), timedelta(days=30), {})


@pytest.fixture
def found(tmp_path: Path, database_url: str) -> Iterator[Books]:
    with books(tmp_path, database_url) as made:
        yield made


@contextmanager
def largest_transaction(found: Books, limit: int = MOST_ROWS) -> Iterator[None]:
    """Fails where a transaction within the block has changed more rows than that."""
    counts = [0]

    def begin(_connection: sa.Connection) -> None:
        counts.append(0)

    def count(_connection: object, cursor: object, statement: str, *_: object) -> None:
        if not statement.startswith("SELECT"):
            counts[-1] += max(0, cursor.rowcount)  # -1 where there is none to tell

    sa.event.listen(found.ledger.engine, "begin", begin)
    sa.event.listen(found.ledger.engine, "after_cursor_execute", count)
    yield
    sa.event.remove(found.ledger.engine, "begin", begin)
    sa.event.remove(found.ledger.engine, "after_cursor_execute", count)
    assert 0 < max(counts) <= limit


def study_of_many(found: Books, images: int = MANY) -> str:
    """A study of so many images that is complete, and one job of it that has ended."""
    scene = Scene(found, ROUTE)
    first = found.received(ct_slice(1))
    with found.ledger.write() as connection:
        for number in range(images):
            one = replace(first, sop_uid=f"1.2.{number}", path=f"spool/instances/{first.study_uid}/{number}.dcm")
            arrivals.add_instance(connection, one, Conflict.NONE, found.clock())
    folder = found.home / "spool" / "instances" / first.study_uid
    folder.mkdir(parents=True)
    for number in range(images):
        (folder / f"{number}.dcm").touch()
    scene.pass_quiet_time()
    with found.ledger.write() as connection:
        connection.execute(schema.job.update().values(state=JobState.REFUSED.value))
    return scene.study().id


def files(found: Books) -> int:
    return len(list((found.home / "spool").rglob("*.dcm")))


def rows(found: Books, table: sa.Table) -> int:
    with found.ledger.read() as connection:
        return connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()


def test_erasing_a_large_study_keeps_nobody_waiting(found: Books) -> None:
    study = study_of_many(found)
    operator = Operator(found.ledger, found.queue)

    with largest_transaction(found):
        assert operator.erase(study, found.home, found.clock()) == MANY

    assert (rows(found, schema.instance), rows(found, schema.study), files(found)) == (0, 0, 0)


def test_what_is_erased_in_part_is_never_taken_for_a_whole_study(found: Books, monkeypatch: pytest.MonkeyPatch) -> None:
    """The process dies in the middle of it, and the study was still gathering."""
    scene = Scene(found, ROUTE)
    scene.arrive(1, 2, 3)
    study = scene.study().id
    operator = Operator(found.ledger, found.queue)
    monkeypatch.setattr(retention, "AT_ONCE", 1)

    deleted = []

    def stop_after_two(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if statement.startswith("DELETE FROM iso_instance"):
            deleted.append(statement)
            if len(deleted) == 2:
                raise KeyboardInterrupt

    sa.event.listen(found.ledger.engine, "before_cursor_execute", stop_after_two)
    with pytest.raises(KeyboardInterrupt):
        operator.erase(study, found.home, found.clock())
    sa.event.remove(found.ledger.engine, "before_cursor_execute", stop_after_two)
    scene.pass_quiet_time()

    assert (scene.study().state, scene.jobs()) == (StudyState.PURGED, [])
    assert operator.erase(study, found.home, found.clock()) == 2
    assert rows(found, schema.study) == 0


def test_an_image_that_comes_while_its_study_is_erased_is_erased_with_it(found: Books) -> None:
    """Its facts are gone: nobody would ever find its file."""
    scene = Scene(found, ROUTE)
    scene.arrive(1)
    study = scene.study().id
    late = found.home / "spool" / "instances" / ct_slice(1).study_uid / "late.dcm"

    looks: list[str] = []

    def arrive_late(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if statement.startswith("SELECT iso_instance.id, iso_instance.path"):
            looks.append(statement)
            if len(looks) == 1:
                late.parent.mkdir(parents=True)
                late.touch()
                found.arrive(ct_slice(2), path=str(late.relative_to(found.home)))

    sa.event.listen(found.ledger.engine, "after_cursor_execute", arrive_late)
    Operator(found.ledger, found.queue).erase(study, found.home, found.clock())

    assert (rows(found, schema.instance), rows(found, schema.study), files(found)) == (0, 0, 0)


def test_retention_of_a_large_study_keeps_nobody_waiting(found: Books) -> None:
    study_of_many(found)

    with largest_transaction(found):
        retention.retain(found.ledger, found.home, LONG_AGO, START + timedelta(days=8))
    assert (files(found), rows(found, schema.study)) == (0, 1)

    with largest_transaction(found):
        retention.retain(found.ledger, found.home, LONG_AGO, START + timedelta(days=31))
    assert (rows(found, schema.instance), rows(found, schema.study)) == (0, 0)


def test_forgetting_many_callers_keeps_nobody_waiting(found: Books) -> None:
    values = {"calling_ae": "A", "called_ae": "B", "address": "", "outcome": "released", "why": "", "stored": 0}
    with found.ledger.write() as connection:
        many = [{"id": f"a{number}", "started_at": START, "refused": 0, **values} for number in range(MANY)]
        connection.execute(schema.association.insert(), many)

    with largest_transaction(found):
        retention.retain(found.ledger, found.home, LONG_AGO, START + timedelta(days=31))

    assert rows(found, schema.association) == 0


def test_a_late_image_of_a_purged_study_goes_with_its_facts(found: Books) -> None:
    """Without them its file would be taken for a new study's at the next sweep."""
    study_of_many(found, 1)
    retention.retain(found.ledger, found.home, LONG_AGO, START + timedelta(days=8))
    late = found.home / "spool" / "instances" / ct_slice(1).study_uid / "late.dcm"
    late.parent.mkdir(parents=True, exist_ok=True)
    late.touch()
    found.arrive(ct_slice(2), path=str(late.relative_to(found.home)))

    retention.retain(found.ledger, found.home, LONG_AGO, START + timedelta(days=9))
    assert files(found) == 1
    retention.retain(found.ledger, found.home, LONG_AGO, START + timedelta(days=31))
    assert (files(found), rows(found, schema.study)) == (0, 0)


def one_job(found: Books) -> tuple[JobRow, Operator]:
    study_of_many(found, 1)
    (job,) = Scene(found, ROUTE).jobs()
    return job, Operator(found.ledger, found.queue)


def test_resuming_a_destination_for_which_many_wait_keeps_nobody_waiting(found: Books) -> None:
    job, operator = one_job(found)
    with found.ledger.write() as connection:
        waiting = [outbox.add_delivery(connection, job, "pacs", START, run=run) for run in range(1, 61)]
    operator.pause(Pausable.DESTINATION, "pacs", START)

    with largest_transaction(found, 60):
        operator.resume(Pausable.DESTINATION, "pacs", START)

    with found.ledger.read() as connection:
        attempts = {one.id: one.attempt for one in outbox.deliveries_of(connection, job.id)}
    assert set(attempts.values()) == {2}
    assert all(is_live(found.queue, found.queue.delivery_id(one.id, 2)) for one in waiting)


def test_resuming_a_model_for_which_many_wait_keeps_nobody_waiting(found: Books) -> None:
    job, operator = one_job(found)
    with found.ledger.write() as connection:
        row = dict(connection.execute(sa.select(schema.job)).mappings().one())
        row["state"] = JobState.QUEUED.value
        connection.execute(schema.job.insert(), [{**row, "id": f"j{n}", "key": f"k{n}"} for n in range(60)])
        connection.execute(schema.run.insert().values(job_id="j0", run=1, started_at=START))
        begun = {"job_id": "j0", "run": 1, "stage": "prepare", "turn": 1, "executor": "w", "started_at": START}
        connection.execute(schema.attempt.insert().values(begun))
    operator.pause(Pausable.MODEL, job.model, START)

    with largest_transaction(found, 60):
        operator.resume(Pausable.MODEL, job.model, START)

    with found.ledger.read() as connection:
        turns = {one.id: one.turn for one in work.unfinished_jobs(connection)}
    assert turns.pop("j0") == 1, "it is under way"
    assert set(turns.values()) == {2}
