"""Opens the database with the settings that make a commit durable, and tells which version its tables are of."""

from importlib.resources import files

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.engine.interfaces import DBAPIConnection

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


def is_current(engine: sa.Engine) -> bool:
    """Whether the tables are there, as this version has them."""
    return revision(engine) == newest()


def newest() -> str:
    """The version of these sources. A migration's file begins with its number: only who makes the tables loads them."""
    versions = files("node.state") / "migrations" / "versions"
    return max(one.name for one in versions.iterdir() if one.name[0].isdigit())[:4]


def revision(engine: sa.Engine) -> str | None:
    """The version that the tables are of, None where there are none."""
    with engine.connect() as connection:
        return revision_in(connection)


def revision_in(connection: sa.Connection) -> str | None:
    """As alembic keeps it."""
    if not sa.inspect(connection).has_table(VERSION_TABLE):
        return None
    found = connection.execute(sa.text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar()  # noqa: S608  a constant
    return None if found is None else str(found)
