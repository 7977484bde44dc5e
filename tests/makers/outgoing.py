"""An outbox with a result set that is due, and a courier on a turned clock."""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from node.core.forms import Forms
from node.core.job import Priority
from node.sending.courier import Courier
from node.sending.destination import Destination, Terms, WebAddress
from node.sending.senders import sender_to
from node.settings import RENDITIONS, SendingTable
from node.state import outbox, schema, work
from node.state.arrivals import gathering_studies
from node.state.rows import DeliveryRow, NewJob, ResultRow
from tests.makers.ledger import Books, ct_slice, is_live
from tests.makers.series import ct_series

CT = "1.2.840.10008.5.1.4.1.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
KINDS = ("seg", "sr", "text", "summary")


class Outgoing:
    """One job whose run is encoded; its objects are small images, which the PACS takes as it takes results."""

    def __init__(self, found: Books, destinations: Mapping[str, Terms], settings: SendingTable | None = None) -> None:
        self.books = found
        found.arrive(ct_slice(1))
        self.courier = Courier(
            found.ledger,
            found.queue,
            sender_to,
            home=found.home,
            destinations=destinations,
            settings=settings or SendingTable(),
            clock=found.clock,
        )
        self._destinations = destinations
        self.files, self.ids = self._job("1")

    def one_more(self, number: str) -> str:
        """The delivery of another job, due now; its id."""
        _, ids = self._job(number)
        return ids["pacs"]

    def _job(self, number: str) -> tuple[list[Path], dict[str, str]]:
        found, job_id = self.books, f"j{number}"
        files = ct_series(found.home / f"work{number}", slices=len(KINDS), series=f"AI{number}")
        with found.ledger.write() as connection:
            (study,) = gathering_studies(connection)
            new = NewJob(
                job_id, f"k{number}", study.id, f"r{number}", "m", "1", "d", "i", {}, (),
                incomplete=False, priority=Priority.ROUTINE,
            )  # fmt: skip
            job = work.add_job(connection, new, found.clock())
            assert job is not None
            outbox.add_results(connection, [self._row(job_id, *one) for one in enumerate(files)])
            deliveries = [outbox.add_delivery(connection, job, name, found.clock()) for name in self._destinations]
        return files, {one.destination: one.id for one in deliveries}

    def _row(self, job_id: str, position: int, path: Path) -> ResultRow:
        from pydicom import dcmread

        image = dcmread(path, stop_before_pixels=True)
        kind = KINDS[position]
        uids = image.SOPInstanceUID, job_id, 1, kind, image.SeriesInstanceUID, CT, EXPLICIT
        return ResultRow(*map_text(uids), str(path.relative_to(self.books.home)), position)

    def delivery(self, name: str = "pacs") -> DeliveryRow:
        with self.books.ledger.read() as connection:
            return outbox.get_delivery(connection, self.ids[name])

    def deliver(self, name: str = "pacs") -> DeliveryRow:
        """The attempt that is due."""
        self.courier.deliver(self.ids[name], self.delivery(name).attempt)
        return self.delivery(name)

    def deliver_until(self, end: datetime, name: str = "pacs") -> list[datetime]:
        """Every attempt at its time until then; the times. Stops where nothing more is due."""
        tried = []
        while (due := self.delivery(name).next_at) is not None and due <= end:
            self.books.clock.at = max(due, self.books.clock.at)
            tried.append(self.books.clock.at)
            self.deliver(name)
        self.books.clock.at = max(end, self.books.clock.at)
        return tried

    def is_queued(self, name: str = "pacs") -> bool:
        found = self.delivery(name)
        return is_live(self.books.queue, self.books.queue.delivery_id(found.id, found.attempt))

    def history(self) -> list[str]:
        with self.books.ledger.read() as connection:
            return [one.name for one in connection.execute(schema.event.select().order_by(schema.event.c.id))]


def map_text(values: tuple[object, ...]) -> list[object]:
    """UIDs as plain text."""
    return [str(one) if isinstance(one, str) else one for one in values]


PATIENCE_S = 20.0
"""More than a loaded machine takes. Only who tests that nothing is answered waits for less."""


def terms(port: int, *, name: str = "pacs", answer_s: float = PATIENCE_S, **changes: bool) -> Terms:
    """A PACS on this machine, given up when it takes or answers an object for no longer than answer_s."""
    peer = Destination(name, "PACS", "127.0.0.1", port, "ISOCENTER", None, PATIENCE_S, PATIENCE_S, answer_s, answer_s)
    return Terms(peer, Forms(frozenset(RENDITIONS)), **changes)


def web_terms(url: str, *, answer_s: float = PATIENCE_S, web: WebAddress | None = None, **changes: bool) -> Terms:
    """A DICOMweb server on this machine, given up as `terms` does."""
    waits_s = (PATIENCE_S, PATIENCE_S, answer_s, answer_s)
    peer = Destination("pacs", "", "", 0, "ISOCENTER", None, *waits_s, web=web or WebAddress(url))
    return Terms(peer, Forms(frozenset(RENDITIONS)), **changes)


def move_study(outgoing: Outgoing) -> str:
    """Let the ledger's study be the one that the files belong to."""
    from pydicom import dcmread

    uid = str(dcmread(outgoing.files[0]).StudyInstanceUID)
    with outgoing.books.ledger.write() as connection:
        connection.execute(schema.study.update().values(study_uid=uid))
    return uid
