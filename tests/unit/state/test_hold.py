"""A ledger is worked with by one service at a time, also where a home was copied with its name."""

import threading
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from node.errors import AlreadyRunning
from node.service.holding import Holding
from node.state import schema
from node.state.hold import Hold, check_tenure
from node.state.ledger import Ledger
from node.state.owner import take_for

pytestmark = pytest.mark.real("postgresql")


@pytest.fixture
def homes(tmp_path: Path) -> tuple[Path, Path]:
    found = tmp_path / "one", tmp_path / "copy"
    for home in found:
        home.mkdir()
    return found


def test_sqlite_has_its_own_home(tmp_path: Path) -> None:
    with closing(Ledger(f"sqlite:///{tmp_path / 'ledger.sqlite'}")) as ledger:
        ledger.migrate()
        take_for(ledger, tmp_path)
        for _ in range(2):
            hold = Hold(ledger, tmp_path)
            assert hold.wait(threading.Event())
            hold.begin()
            hold.keep()
        check_tenure(ledger, tmp_path)


def test_it_is_let_go_of_at_the_end(postgres, homes: tuple[Path, Path]) -> None:
    with closing(Ledger(postgres.new_with_tables())) as ledger:
        take_for(ledger, homes[0])
        for _ in range(6):
            with closing(Hold(ledger, homes[0])) as hold:
                assert hold.wait(threading.Event())
                hold.begin()
                hold.keep()
                check_tenure(ledger, homes[0])


def test_it_outlives_what_ends_idle_sessions(postgres, homes: tuple[Path, Path]) -> None:
    url = postgres.new_with_tables()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"ALTER DATABASE \"{connection.info.dbname}\" SET idle_session_timeout = '200ms'")
        with closing(Ledger(url)) as ledger, closing(Hold(ledger, homes[0])) as hold:
            take_for(ledger, homes[0])
            hold.wait(threading.Event())
            hold.begin()
            connection.execute("SET idle_session_timeout = 0")
            connection.execute("SELECT pg_sleep(1)")
            held = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted"
            assert connection.execute(held).fetchone() == (1,)


def test_what_was_handed_to_a_home_that_lost_it_is_not_done(postgres, homes: tuple[Path, Path]) -> None:
    """Nor is it by a process that knows nothing of the lock, as a worker on another host."""
    mine, copy = homes
    stop, done = threading.Event(), []
    with closing(Ledger(postgres.new_with_tables())) as ledger:
        take_for(ledger, mine)
        with closing(Hold(ledger, mine)) as hold:
            hold.wait(threading.Event())
            hold.begin()
        do = Holding(ledger, mine, stop).only(done.append)
        do(1)
        with closing(Hold(ledger, copy)) as hold:
            hold.wait(threading.Event())
            hold.begin()
        with pytest.raises(AlreadyRunning, match="another copy of this home"):
            do(2)

    assert done == [1]
    assert stop.is_set()


def test_a_session_that_was_lost_is_had_again_unless_a_copy_came_meanwhile(postgres, homes: tuple[Path, Path]) -> None:
    with closing(Ledger(postgres.new_with_tables())) as ledger:
        take_for(ledger, homes[0])
        hold = Hold(ledger, homes[0])
        hold.wait(threading.Event())
        hold.begin()
        end_sessions(ledger)
        hold.keep()
        hold.keep()
        end_sessions(ledger)
        with ledger.write() as connection:  # it came, and went again
            connection.execute(schema.home.update().values(tenure="another"))
        with pytest.raises(AlreadyRunning):
            hold.keep()


def end_sessions(ledger: Ledger) -> None:
    with psycopg.connect(ledger.engine.url.set(drivername="postgresql").render_as_string(), autocommit=True) as one:
        one.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    ledger.engine.dispose()
