"""What the ledger says of a database that does not do what it should."""

from pathlib import Path

import pytest
import sqlalchemy as sa

from node.state import schema
from tests.makers.ledger import books


def test_an_error_does_not_name_the_patient_whose_row_it_was(tmp_path: Path) -> None:
    """Whoever catches it logs it, with what the library makes of it."""
    with books(tmp_path) as made, made.ledger.read() as connection:
        wrong = sa.select(schema.study).where(schema.study.c.patient_id == "PID-4711", sa.text("no_such_column = 1"))
        with pytest.raises(sa.exc.OperationalError) as told:
            connection.execute(wrong)

    assert "no_such_column" in str(told.value)
    assert "PID-4711" not in str(told.value)
