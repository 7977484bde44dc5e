"""The ledger: one door to the database, for transactions that read and for transactions that write."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

import sqlalchemy as sa

from node.errors import LedgerUnusable
from node.state import schema
from node.state.database import is_current, migrate, open_engine, reading, writing

MESSAGE_LIMIT = 1000


class Ledger:
    """Facts in SQL. Functions in arrivals, work and outbox take the connection of one transaction."""

    def __init__(self, url: str) -> None:
        self.engine = open_engine(url)
        self._writing, self._reading = writing(self.engine), reading(self.engine)

    def migrate(self) -> None:
        """Bring the tables to this version. Raises LedgerUnusable."""
        try:
            migrate(self.engine)
        except sa.exc.DBAPIError as error:
            raise LedgerUnusable(f"the ledger cannot be opened at {self._place()}: {error.orig}") from error

    def is_ready(self) -> bool:
        """Whether the tables are there, of this version: processes that do not migrate wait for this."""
        return is_current(self.engine)

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """A transaction that sees one state of the ledger."""
        with self._reading.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def write(self) -> Iterator[sa.Connection]:
        """A transaction that is durable when the block ends, or leaves nothing behind where it raises."""
        with self._writing.begin() as connection:
            yield connection

    def close(self) -> None:
        self.engine.dispose()

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
