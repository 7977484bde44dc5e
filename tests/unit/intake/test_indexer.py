"""The indexer takes what arrived, in turns where it is asked to."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa

from node.intake import indexer
from node.intake.door import Door, Offer
from node.intake.indexer import Indexer
from node.settings import IntakeTable
from node.state import schema
from node.state.spool import Origin, Spool
from tests.makers.elements import CT_IMAGE, EXPLICIT, ct
from tests.makers.ledger import books

ORIGIN = Origin("SENDER", "ISOCENTER", "10.0.0.7", "a1", "", datetime(2026, 1, 2, tzinfo=UTC))


def test_a_backlog_is_indexed_in_turns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever drives it gets the word back once its time is over, and learns that more is there."""
    monkeypatch.setattr(indexer, "BATCH", 2)
    spool = Spool(tmp_path)
    spool.open()
    door = Door(spool, IntakeTable(disk_reserve_mb=0, refuse_associations_mb=0), lambda: None)
    for number in range(5):
        uid = f"1.2.3.{number}"
        door.take(Offer(CT_IMAGE, uid, CT_IMAGE, EXPLICIT, ORIGIN, refuse_conflict=False), ct(instance=uid))
    with books(tmp_path) as found:
        ours = Indexer(found.ledger, spool, home=tmp_path, clock=found.clock)

        def indexed() -> int:
            with found.ledger.read() as connection:
                return int(connection.execute(sa.select(sa.func.count()).select_from(schema.instance)).scalar_one())

        assert (ours.drain(limit_s=0), indexed()) == (False, 2)
        assert (ours.drain(limit_s=0), indexed()) == (False, 4)
        assert (ours.drain(), indexed()) == (True, 5)
        assert ours.drain(limit_s=0)
