"""What the ledger says of a database that does not do what it should."""

from contextlib import ExitStack, closing
from pathlib import Path

import pytest
import sqlalchemy as sa

from node.errors import LedgerUnusable
from node.state import schema
from node.state.ledger import Ledger
from tests.makers.ledger import books


def test_an_error_does_not_name_the_patient_whose_row_it_was(tmp_path: Path) -> None:
    """Whoever catches it logs it, with what the library makes of it."""
    with books(tmp_path) as made, made.ledger.read() as connection:
        wrong = sa.select(schema.study).where(schema.study.c.patient_id == "PID-4711", sa.text("no_such_column = 1"))
        with pytest.raises(sa.exc.OperationalError) as told:
            connection.execute(wrong)

    assert "no_such_column" in str(told.value)
    assert "PID-4711" not in str(told.value)


def test_a_database_so_slow_that_every_connection_is_in_use_is_tried_again(tmp_path: Path) -> None:
    """It is as if it were gone: what waits for it is no failure of what wanted to ask."""
    with books(tmp_path) as made, ExitStack() as held:
        pool = made.ledger.engine.pool
        for _ in range(pool.size() + pool._max_overflow):
            held.enter_context(made.ledger.read())
        pool._timeout = 0.1
        with pytest.raises(LedgerUnusable, match="every connection is in use"), made.ledger.read():
            pass


@pytest.mark.parametrize("content", [b"no database at all\n" * 500, None])
def test_a_damaged_file_is_told_as_such(tmp_path: Path, content: bytes | None) -> None:
    """Overwritten as a whole, or in its middle."""
    with books(tmp_path):
        pass
    file = tmp_path / "ledger.sqlite"
    whole = file.read_bytes()
    file.write_bytes(content or whole[:4096] + b"\xff" * (len(whole) - 4096))

    with (
        closing(Ledger(f"sqlite:///{file}")) as ledger,
        pytest.raises(LedgerUnusable, match=r"(not a database|malformed)\): restore a backup"),
        ledger.read() as connection,
    ):
        connection.execute(sa.select(schema.study)).all()
