"""Opens the database with the settings that make a commit durable, and brings its tables up to date."""

from importlib.resources import files
from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import event
from sqlalchemy.engine.interfaces import DBAPIConnection

from node.errors import LedgerUnusable
from node.state import postgres

VERSION_TABLE = "iso_alembic_version"
BUSY_TIMEOUT_MS = 30_000
RECYCLE_S = 60
"""A connection is used for no longer: one that was opened while the database was read-only stays so while it lives."""

WRITERS_TURN = 0x15_0CE27E6
"""Key of the advisory lock that a writing transaction holds on PostgreSQL."""


def open_engine(url: str) -> sa.Engine:
    """An engine for the ledger, on an SQLite file of a local disk or on PostgreSQL.

    On both, writing transactions (opened on `writing(engine)`) happen one after another, so that what they read is what
    they change: SQLite has one write lock, on PostgreSQL each takes the writers' turn at its start. What a statement
    was given stands in no error: it may name a patient, and errors are logged.
    """
    parsed = sa.make_url(url)
    if parsed.get_backend_name() == "postgresql":
        engine = sa.create_engine(
            parsed.set(drivername="postgresql+psycopg"),
            pool_pre_ping=True,
            pool_recycle=RECYCLE_S,
            connect_args=postgres.LEDGERS,
            hide_parameters=True,
        )
        event.listen(engine, "begin", _begin_on_postgres)
    else:
        engine = sa.create_engine(parsed, hide_parameters=True)
        event.listen(engine, "connect", _configure_sqlite)
        event.listen(engine, "begin", _begin_on_sqlite)
    return engine


def _configure_sqlite(connection: DBAPIConnection, _record: object) -> None:
    """WAL, synchronous=FULL, foreign keys, a busy timeout."""
    connection.isolation_level = None  # we say BEGIN ourselves, below
    cursor = connection.cursor()
    for pragma in (f"busy_timeout={BUSY_TIMEOUT_MS}", "journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_on_sqlite(connection: sa.Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE" if _writes(connection) else "BEGIN")


def _begin_on_postgres(connection: sa.Connection) -> None:
    if _writes(connection):
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({WRITERS_TURN})")


def _writes(connection: sa.Connection) -> bool:
    return bool(connection.get_execution_options().get("isocenter_writes", False))


def writing(engine: sa.Engine) -> sa.Engine:
    """The same engine for transactions that write."""
    return engine.execution_options(isocenter_writes=True)


def reading(engine: sa.Engine) -> sa.Engine:
    """The same engine for transactions that see one state from their begin to their end, whoever writes meanwhile."""
    if engine.dialect.name == "sqlite":  # where WAL gives each of them its own
        return engine
    return engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)


def _alembic() -> Config:
    config = Config()
    config.set_main_option("script_location", str(files("node.state") / "migrations"))
    config.set_main_option("version_table", VERSION_TABLE)
    return config


def is_current(engine: sa.Engine) -> bool:
    """Whether the tables are there, as this version has them."""
    return revision(engine) == ScriptDirectory.from_config(_alembic()).get_current_head()


def revision(engine: sa.Engine) -> str | None:
    """The version that the tables are of, None where there are none."""
    with engine.connect() as connection:
        return MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE}).get_current_revision()


def migrate(engine: sa.Engine) -> None:
    """Bring the ledger's tables to this version. Raises LedgerUnusable where a newer version wrote them."""
    config = _alembic()
    known = ScriptDirectory.from_config(config)
    if engine.dialect.name == "sqlite" and engine.url.database:
        Path(engine.url.database).touch(mode=0o600)
    with writing(engine).begin() as connection:
        if engine.dialect.name == "postgresql" and not sa.inspect(connection).has_schema(postgres.SCHEMA):
            connection.execute(sa.schema.CreateSchema(postgres.SCHEMA))
        here = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE}).get_current_revision()
        if here is not None:
            try:
                known.get_revision(here)
            except CommandError as error:
                raise LedgerUnusable(
                    f"the ledger at {engine.url.render_as_string()} is of a newer Isocenter (revision {here}); "
                    "install that version again, or restore a backup made before the upgrade"
                ) from error
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
