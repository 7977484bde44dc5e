"""What the service does at intervals is left out while the database cannot be used, and nothing else is."""

from pathlib import Path

import pytest
import sqlalchemy as sa

from node.service.clock import ServiceClock
from node.state import schema
from tests.makers.ledger import START, books


def test_a_damaged_database_ends_neither_the_service_nor_its_clock(tmp_path: Path) -> None:
    """The queue asks its own tables, which lie beside the ledger's, in their own way."""
    with books(tmp_path) as found:
        file = tmp_path / "ledger.sqlite"
        with found.ledger.engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        found.ledger.engine.dispose()
        file.write_bytes(file.read_bytes()[:4096] + b"\xff" * 200_000)
        with pytest.raises(sa.exc.DatabaseError, match="malformed"):
            found.queue.forget(START)

        ServiceClock._unless_unusable(lambda: found.queue.forget(START))


def test_a_wrong_statement_is_not_taken_for_it(tmp_path: Path) -> None:
    """An error of ours is to be seen."""
    with books(tmp_path) as found:

        def wrong() -> None:
            with found.ledger.write() as connection:
                connection.execute(schema.pause.insert().values(kind=None, name="x"))

        with pytest.raises(sa.exc.StatementError):
            ServiceClock._unless_unusable(wrong)
