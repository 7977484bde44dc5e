"""The ledger: one door to the database, for transactions that read and for transactions that write."""

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from pathlib import Path

import sqlalchemy as sa

from node.errors import LedgerUnusable
from node.state import postgres, schema
from node.state.database import is_current, open_engine, reading, revision, writing

MESSAGE_LIMIT = 1000
FAULT_TOLD_S = 15.0
UNUSABLE = (sa.exc.OperationalError, sa.exc.InternalError, sa.exc.InterfaceError)
"""What a database raises that is full, locked, read-only or gone; not what it says of a wrong statement. SQLite has
DatabaseError itself for a damaged file, which is_damaged tells from its further kinds."""


def is_unusable(error: sa.exc.DBAPIError) -> bool:
    """Whether the database is at fault, and not what it was asked."""
    return isinstance(error, UNUSABLE) or is_damaged(error)


def is_damaged(error: sa.exc.DBAPIError) -> bool:
    """Whether it is SQLite that finds its file damaged, or no database at all."""
    return type(error) is sa.exc.DatabaseError


@contextmanager
def in_words(what: str) -> Iterator[None]:
    """Raises LedgerUnusable, which begins with `what`, in place of what the database raises where it is at fault."""
    try:
        yield
    except sa.exc.DBAPIError as error:
        if not is_unusable(error):
            raise
        why = str(error.orig).partition("\n")[0]
        advice = "restore a backup" if is_damaged(error) else postgres.advice(why)
        raise LedgerUnusable(f"{what} ({why}): {advice or 'make room there, or mend the database'}") from error
    except sa.exc.TimeoutError as error:
        raise LedgerUnusable(f"{what}: it is so slow that every connection is in use") from error


class Ledger:
    """Facts in SQL. Functions in arrivals, work and outbox take the connection of one transaction."""

    def __init__(self, url: str) -> None:
        self._fault, self._fault_s = "", -FAULT_TOLD_S
        self.engine = open_engine(url)
        self._writing, self._reading = writing(self.engine), reading(self.engine)

    def migrate(self) -> None:
        """Bring the tables to this version. Raises LedgerUnusable."""
        from node.state.migrating import migrate  # with alembic, for one process of a node: no command needs it

        self._check_fit()
        try:
            migrate(self.engine)
        except sa.exc.DBAPIError as error:
            raise LedgerUnusable(f"the ledger cannot be opened at {self._place()}: {error.orig}") from error

    def is_ready(self) -> bool:
        """Whether the tables are there, of this version: processes that do not migrate wait for this. Raises as `read`
        does."""
        with self.in_words("read"):
            return is_current(self.engine)

    def is_new(self) -> bool:
        """Whether nobody has made tables there yet. Raises LedgerUnusable, also where somebody else owns them."""
        url = self.engine.url
        if url.get_backend_name() == "sqlite" and url.database and not Path(url.database).exists():
            return True  # nor is a file made, which others could read
        self._check_fit()
        with self.in_words("read"):
            return revision(self.engine) is None

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """A transaction that sees one state of the ledger. Raises LedgerUnusable where it is full, locked or gone."""
        with self.in_words("read"), self._reading.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def write(self) -> Iterator[sa.Connection]:
        """A transaction that is durable when the block ends, or leaves nothing behind where it raises.

        Raises LedgerUnusable where the database is full, locked or gone: everything may be tried again.
        """
        try:
            with self.in_words("written"), self._writing.begin() as connection:
                yield connection
        except LedgerUnusable as unusable:
            self._fault, self._fault_s = str(unusable), time.monotonic()
            raise

    @property
    def fault(self) -> str:
        """Why a transaction could not be written lately; empty where all could. That a small one could since then does
        not tell that there is room for others."""
        return self._fault if time.monotonic() - self._fault_s < FAULT_TOLD_S else ""

    def close(self) -> None:
        self.engine.dispose()

    def _check_fit(self) -> None:
        if self.engine.dialect.name == "postgresql":
            with self.read() as connection:
                if faults := list(postgres.unfit(connection)):
                    raise LedgerUnusable(f"the ledger at {self._place()} cannot be used: {'; '.join(faults)}")

    def in_words(self, verb: str) -> AbstractContextManager[None]:
        """Raises LedgerUnusable where the database is at fault while it is `verb`: read, or written."""
        return in_words(f"the ledger at {self._place()} cannot be {verb}")

    def _place(self) -> str:
        return self.engine.url.render_as_string(hide_password=True)


def note(
    connection: sa.Connection,
    now: datetime,
    name: str,
    message: str = "",
    *,
    study_id: str | None = None,
    job_id: str | None = None,
    delivery_id: str | None = None,
) -> None:
    """Add to the history what happened, in words; it is what an operator reads when asking why."""
    connection.execute(
        schema.event.insert().values(
            at=now,
            name=name,
            message=message[:MESSAGE_LIMIT],
            study_id=study_id,
            job_id=job_id,
            delivery_id=delivery_id,
        )
    )
