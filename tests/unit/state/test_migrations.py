"""The migrations make the tables the code expects, and a newer ledger is refused with words."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from node.errors import LedgerUnusable
from node.state.database import VERSION_TABLE, writing
from node.state.ledger import Ledger
from node.state.schema import metadata


def ours(_object: object, name: str | None, kind: str, _reflected: bool, _other: object) -> bool:
    return kind != "table" or ((name or "").startswith("iso_") and name != VERSION_TABLE)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.real("postgresql"))])
def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ledger]:
    """A ledger on an empty database, once on SQLite and once on PostgreSQL."""
    file = f"sqlite:///{tmp_path / 'ledger.sqlite'}"
    url = file if request.param == "sqlite" else request.getfixturevalue("postgres").new()
    with closing(Ledger(url)) as found:
        yield found


def test_migrations_and_schema_describe_the_same_tables(ledger: Ledger) -> None:
    ledger.migrate()
    with ledger.engine.connect() as connection:
        migration = MigrationContext.configure(
            connection, opts={"include_object": ours, "version_table": VERSION_TABLE}
        )

        assert compare_metadata(migration, metadata) == []


def test_a_ledger_is_ready_once_it_is_migrated(ledger: Ledger) -> None:
    before = ledger.is_ready()
    ledger.migrate()

    assert (before, ledger.is_ready()) == (False, True)


def test_migrating_twice_changes_nothing(ledger: Ledger) -> None:
    ledger.migrate()
    ledger.migrate()

    assert ledger.is_ready()


def test_a_ledger_of_a_newer_version_is_refused_and_untouched(ledger: Ledger) -> None:
    ledger.migrate()
    with writing(ledger.engine).begin() as connection:
        version = sa.table(VERSION_TABLE, sa.column("version_num"))
        connection.execute(version.update().values(version_num="9999"))

    with pytest.raises(LedgerUnusable, match="newer Isocenter"):
        ledger.migrate()


def test_commits_are_durable_and_readers_do_not_wait(tmp_path: Path) -> None:
    """WAL with synchronous=FULL on every connection (design section 2)."""
    ledger = Ledger(f"sqlite:///{tmp_path / 'ledger.sqlite'}")
    ledger.migrate()
    with ledger.engine.connect() as connection:
        settings = [connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in ("journal_mode", "synchronous")]

    assert settings == ["wal", 2]
