"""What monitoring counts of the ledger's history: each thing once, and nothing that was there before."""

from datetime import timedelta
from pathlib import Path

from node.core.job import DeliveryEvent, Stage
from node.state import outbox, work
from node.state.gains import Gained, Gains, StageEnded
from node.state.ledger import note
from node.state.work import Ticket
from tests.makers.ledger import Books, books, queued_job


def looked(found: Books, gains: Gains) -> Gained:
    with found.ledger.read() as connection:
        return gains.look(connection)


def begun(found: Books) -> Gains:
    with found.ledger.read() as connection:
        return Gains(connection)


def test_an_event_is_told_once_and_none_from_before(tmp_path: Path) -> None:
    with books(tmp_path) as found:
        with found.ledger.write() as connection:
            note(connection, found.clock(), "job-failed")
        gains = begun(found)
        with found.ledger.write() as connection:
            note(connection, found.clock(), "job-failed")
            note(connection, found.clock(), "job-failed")
            note(connection, found.clock(), "paused")

        assert looked(found, gains).events == {"job-failed": 2, "paused": 1}
        assert looked(found, gains).events == {}


def test_a_stage_is_told_when_it_has_ended_also_one_that_began_before(tmp_path: Path) -> None:
    with books(tmp_path) as found:
        tickets = [Ticket(queued_job(found, f"r{number}").id, 1, Stage.PREPARE, 1) for number in range(3)]
        with found.ledger.write() as connection:
            early = work.start_attempt(connection, tickets[0], "worker", found.clock())
        gains = begun(found)
        with found.ledger.write() as connection:
            late = work.start_attempt(connection, tickets[1], "worker", found.clock())
            work.start_attempt(connection, tickets[2], "worker", found.clock())
        assert looked(found, gains).stages == []

        found.clock.forward(seconds=7)
        with found.ledger.write() as connection:
            work.end_attempt(connection, early, "done", found.clock())
            work.end_attempt(connection, late, "error", found.clock())
        assert looked(found, gains).stages == [StageEnded("prepare", "done", 7), StageEnded("prepare", "error", 7)]
        assert looked(found, gains).stages == []


def test_an_arrival_takes_from_the_last_image_to_the_proof(tmp_path: Path) -> None:
    with books(tmp_path) as found:
        job = queued_job(found, "r")
        gains = begun(found)
        found.clock.forward(seconds=30)
        with found.ledger.write() as connection:
            made = outbox.add_delivery(connection, job, "pacs", found.clock())
            outbox.change_delivery(connection, made, DeliveryEvent.STARTED, found.clock())
            sending = outbox.get_delivery(connection, made.id)
            proof_at = found.clock() + timedelta(seconds=5)
            outbox.change_delivery(connection, sending, DeliveryEvent.ACCEPTED, found.clock(), next_at=proof_at)
        assert looked(found, gains).arrived_s == []

        found.clock.forward(seconds=12)
        with found.ledger.write() as connection:
            accepted = outbox.get_delivery(connection, made.id)
            outbox.change_delivery(connection, accepted, DeliveryEvent.PROVEN, found.clock())
        assert looked(found, gains).arrived_s == [42]
        assert looked(found, gains).arrived_s == []
