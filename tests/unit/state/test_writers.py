"""Two connections at once, on both databases: what a transaction has read is still so when it writes."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa

from node.core.job import Priority, StudyEvent, StudyState
from node.errors import LedgerUnusable
from node.state import arrivals, database, schema, work
from node.state.ledger import Ledger
from node.state.postgres import IDLE_TIMEOUT_MS, LEDGERS, SCHEMA
from node.state.rows import NewJob
from tests.makers.ledger import START, Books, books, ct_slice

OVERLAP_S = 0.3
"""So long the first transaction stays open while the second one wants to write."""


@pytest.fixture
def found(tmp_path: Path, database_url: str) -> Iterator[Books]:
    with books(tmp_path, database_url) as made:
        yield made


def overlap(found: Books, first: Callable[[sa.Connection], None], second: Callable[[], None]) -> None:
    """Begin `second` in another thread while the transaction of `first` is open."""
    thread = threading.Thread(target=second)
    with found.ledger.write() as connection:
        first(connection)
        thread.start()
        thread.join(OVERLAP_S)
    thread.join()


def states(found: Books) -> list[str]:
    with found.ledger.read() as connection:
        return list(connection.execute(sa.select(schema.study.c.state)).scalars())


def test_one_job_is_made_where_two_want_the_same(found: Books) -> None:
    found.arrive(ct_slice(1))
    with found.ledger.read() as connection:
        (study,) = arrivals.gathering_studies(connection)
    new = NewJob("j", "k", study.id, "r", "m", "1", "d", "i", {}, (), incomplete=False, priority=Priority.ROUTINE)
    made = []

    def add_another() -> None:
        with found.ledger.write() as connection:
            made.append(work.add_job(connection, new, START))

    overlap(found, lambda connection: made.append(work.add_job(connection, new, START)), add_another)

    assert [one is None for one in made] == [False, True]


def test_two_patients_who_arrive_at_once_under_one_uid_are_both_held(found: Books) -> None:
    def first(connection: sa.Connection) -> None:
        arrivals.add_instance(connection, found.received(ct_slice(1)), arrivals.Conflict.NONE, START)

    overlap(found, first, lambda: found.arrive(ct_slice(2, patient="P2")))

    assert states(found) == [StudyState.QUARANTINED, StudyState.QUARANTINED]


def test_an_image_that_arrives_while_its_study_is_completed_reopens_it(found: Books) -> None:
    found.arrive(ct_slice(1))

    def complete(connection: sa.Connection) -> None:
        (study,) = arrivals.gathering_studies(connection)
        arrivals.change_study(connection, study, StudyEvent.COMPLETED, START)

    overlap(found, complete, lambda: found.arrive(ct_slice(2)))

    assert states(found) == [StudyState.GATHERING]


def test_a_reader_sees_one_state_whoever_writes_meanwhile(found: Books) -> None:
    with found.ledger.read() as connection:
        before = len(arrivals.gathering_studies(connection))
        found.arrive(ct_slice(1))

        assert len(arrivals.gathering_studies(connection)) == before


@pytest.mark.real("postgresql")
def test_a_writer_that_falls_silent_does_not_keep_the_others_out(
    postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A host that dies or is frozen within a transaction: the server ends it, and nothing of it is left."""
    options = LEDGERS["options"].replace(str(IDLE_TIMEOUT_MS), "400")
    monkeypatch.setitem(LEDGERS, "options", options)
    url = postgres.new_with_tables()
    with books(tmp_path, url) as silent, books(tmp_path, url) as other:
        started = time.monotonic()

        def fall_silent() -> None:
            with silent.ledger.write() as connection:
                arrivals.add_instance(connection, silent.received(ct_slice(1)), arrivals.Conflict.NONE, START)
                other.arrive(ct_slice(1, study="another"))

        with pytest.raises(LedgerUnusable):
            fall_silent()

        assert time.monotonic() - started < 3
        assert len(states(other)) == 1


@pytest.mark.real("postgresql")
@pytest.mark.parametrize("isolation", ["repeatable read", "serializable"])
def test_who_waited_to_write_sees_what_was_written_meanwhile_whatever_the_database_has_for_others(
    postgres, tmp_path: Path, isolation: str
) -> None:
    """Its state would be that of before its turn otherwise."""
    url = postgres.new_with_tables()
    with psycopg.connect(url, autocommit=True) as connection:
        database_name = connection.info.dbname
        connection.execute(f"ALTER DATABASE \"{database_name}\" SET default_transaction_isolation = '{isolation}'")
    seen = []
    with books(tmp_path, url) as found:

        def look() -> None:
            with found.ledger.write() as connection:
                seen.append(len(arrivals.gathering_studies(connection)))

        def arrive(connection: sa.Connection) -> None:
            arrivals.add_instance(connection, found.received(ct_slice(1)), arrivals.Conflict.NONE, START)

        overlap(found, arrive, look)

    assert seen == [1]


@pytest.mark.real("postgresql")
def test_our_tables_lie_in_a_schema_of_their_own(postgres) -> None:
    ledger = Ledger(postgres.new_with_tables())
    names = set(sa.inspect(ledger.engine).get_table_names(schema=SCHEMA))
    elsewhere = sa.inspect(ledger.engine).get_table_names(schema="public")
    ledger.close()

    assert names == {table.name for table in schema.metadata.tables.values()} | {database.VERSION_TABLE}
    assert elsewhere == []


@pytest.mark.real("postgresql")
def test_a_database_that_was_read_only_is_written_again_without_a_new_start(
    postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A connection that was opened meanwhile stays as it was then, for as long as it lives."""
    monkeypatch.setattr(database, "RECYCLE_S", 0.2, raising=False)
    url = postgres.new_with_tables()
    name = url.rpartition("/")[2]

    def alter(words: str) -> None:
        with psycopg.connect(postgres.url(), autocommit=True) as connection:
            connection.execute(f'ALTER DATABASE "{name}" {words}')

    alter("SET default_transaction_read_only = on")
    with books(tmp_path, url) as found:
        with pytest.raises(LedgerUnusable, match="read-only"):
            found.arrive(ct_slice(1))
        alter("RESET default_transaction_read_only")
        deadline, is_written = time.monotonic() + 5, False
        while not is_written and time.monotonic() < deadline:
            with suppress(LedgerUnusable):
                found.arrive(ct_slice(1))
                is_written = True
            time.sleep(0.05)

        assert is_written
