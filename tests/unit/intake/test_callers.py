"""Records of associations that ended are moved into the ledger, however many there are."""

from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from node.intake.callers import AT_ONCE, keep_ended
from node.state import schema
from node.state.associations import AssociationOutcome, AssociationRecord, Associations
from tests.makers.ledger import START, books


@pytest.mark.parametrize("count", [1, AT_ONCE, 2 * AT_ONCE + 1])
def test_all_that_ended_are_kept_and_told_no_more(tmp_path: Path, count: int) -> None:
    with books(tmp_path) as found:
        told = Associations(found.home)
        receiver = told.serve()
        record = AssociationRecord("a", receiver.name, "CT", "ISOCENTER", "192.0.2.1", None, START)
        for number in range(count):
            receiver.write(replace(record, id=f"a{number}", outcome=AssociationOutcome.RELEASED, ended_at=START))
        receiver.write(record)

        assert [len(keep_ended(found.ledger, told)) for _ in range(2)] == [count, 0]
        with found.ledger.read() as connection:
            assert connection.execute(sa.select(sa.func.count()).select_from(schema.association)).scalar() == count
        assert [one.id for one in told.records()] == ["a"]
        receiver.close()
