"""A study with its job, results and delivery in the ledger, without any file: for what shows and finds them."""

from dataclasses import dataclass

from node.core.identity import derived_uid
from node.core.job import DeliveryEvent, JobEvent, JobState, Priority, Stage
from node.errors import ReasonCode
from node.state import arrivals, outbox, work
from node.state.rows import DeliveryRow, NewJob, ResultRow
from node.state.work import Ticket
from tests.makers.ledger import Books, ct_slice


@dataclass(frozen=True)
class Made:
    """Ids of what was made."""

    study: str
    job: str
    delivery: str


def make_study(books: Books, name: str, *, route: str = "lung-ct", patient: str = "P1", **facts: object) -> Made:
    """A study that arrived, was analysed, and whose results wait for the destination "pacs"."""
    one = ct_slice(1, study=name, patient=patient, **facts)
    books.arrive(one)
    now, job_id = books.clock(), f"j{name}"
    with books.ledger.write() as connection:
        study = arrivals.get_study(connection, one.study_uid)
        new = NewJob(
            job_id, f"key-{name}", study.id, route, "lung-ct", "1.0", "d", "i", {}, ("pacs",), False, Priority.ROUTINE
        )
        work.add_job(connection, new, now)
        for stage, after in ((Stage.PREPARE, Stage.INFER), (Stage.INFER, Stage.ENCODE), (Stage.ENCODE, None)):
            ticket = Ticket(job_id, 1, stage, 1)
            attempt = work.start_attempt(connection, ticket, "worker", now)
            work.end_attempt(connection, attempt, "done", now, peak_mb=100)
            work.adopt(connection, work.get_job(connection, job_id), ticket, f"work/{job_id}/{stage.value}", after, now)
        uid = derived_uid("result", name)
        outbox.add_results(connection, [ResultRow(uid, job_id, 1, "seg", uid, "1.2", "1.2.1", f"work/{name}.dcm", 0)])
        delivery = outbox.add_delivery(connection, work.get_job(connection, job_id), "pacs", now)
    return Made(study.id, job_id, delivery.id)


def happen(books: Books, delivery: str, *events: DeliveryEvent, message: str = "") -> DeliveryRow:
    """Let these happen to a delivery, one after another."""
    with books.ledger.write() as connection:
        for event in events:
            row = outbox.get_delivery(connection, delivery)
            assert outbox.change_delivery(connection, row, event, books.clock(), message=message)
        return outbox.get_delivery(connection, delivery)


def refuse(books: Books, name: str, reason: ReasonCode, message: str) -> str:
    """A study whose job was refused; its id."""
    one = ct_slice(1, study=name)
    books.arrive(one)
    with books.ledger.write() as connection:
        study = arrivals.get_study(connection, one.study_uid)
        new = NewJob(f"j{name}", name, study.id, "lung-ct", "lung-ct", "1", "d", "i", {}, (), False, Priority.ROUTINE)
        job = work.add_job(connection, new, books.clock())
        assert job is not None
        assert work.end_job(connection, job, JobEvent.REFUSED, books.clock(), reason=reason, message=message)
        assert work.get_job(connection, job.id).state is JobState.REFUSED
    return study.id
