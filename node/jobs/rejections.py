"""Tells destinations that want to know it which results of earlier runs the newest ones replaced."""

from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path

import sqlalchemy as sa
import structlog

from ai.contract import Model
from ai.errors import ModelError
from node.core.forms import rejection_kind, rendition_of
from node.core.identity import ClassUID, InstanceUID, SeriesUID
from node.core.job import DeliveryEvent, DeliveryState
from node.errors import IsocenterError
from node.jobs.catalogue import card_of
from node.jobs.recorded import result_row
from node.results.encode import RunIdentity
from node.results.rejection import Replaced, encode_rejection
from node.results.uids import RenditionKind
from node.settings import Peer
from node.state import outbox, work
from node.state.artefacts import fresh_folder, make_durable
from node.state.ledger import Ledger, note
from node.state.queue import Queue
from node.state.rows import DeliveryRow, JobRow, ResultRow

log = structlog.get_logger()

LAST = 1_000_000
"""Place of the note in sending order: after everything else."""

ARRIVED = (DeliveryState.ACCEPTED, DeliveryState.PROVEN)


class Rejections:
    """A task of its own beside the stages. The note joins the newer run's delivery, once that has arrived."""

    def __init__(
        self,
        ledger: Ledger,
        queue: Queue,
        home: Path,
        models: Mapping[str, Model],
        peers: Mapping[str, Peer],
        clock: Callable[[], datetime],
    ) -> None:
        self._ledger, self._queue, self._home = ledger, queue, home
        self._models, self._peers, self._clock = models, peers, clock

    def make(self, job_id: str, run: int, _attempt: int) -> None:
        """Make the notes of a run that are not there yet, and have them sent. Doing so twice has the effect of once."""
        with self._ledger.read() as connection:
            job = work.get_job(connection, job_id)
            arrived = [
                one
                for one in outbox.deliveries_of(connection, job_id)
                if one.run == run and one.state in ARRIVED and self._is_wanted(one.destination)
            ]
            replaced = {one.id: self._replaced(connection, job, one) for one in arrived}
        for delivery in arrived:
            if not replaced[delivery.id]:
                continue
            try:
                row = self._made(job, delivery, replaced[delivery.id])
            except (IsocenterError, ModelError, OSError) as error:
                log.warning("rejection-not-made", job=job_id, delivery=delivery.id, error=type(error).__name__)
                with self._ledger.write() as connection:
                    words = f"{delivery.destination}: {error}"
                    now = self._clock()
                    note(connection, now, "rejection-not-made", words, job_id=job_id, delivery_id=delivery.id)
                continue
            self._enqueue(job, delivery, row)

    def _is_wanted(self, destination: str) -> bool:
        peer = self._peers.get(destination)
        return peer is not None and peer.rejections

    def _replaced(self, connection: sa.Connection, job: JobRow, delivery: DeliveryRow) -> list[ResultRow]:
        """What the destination holds of earlier runs; nothing where the note is there already."""
        kind = rejection_kind(delivery.destination)
        if any(one.kind == kind for one in outbox.results_of(connection, job.id, delivery.run)):
            return []
        return outbox.held_of_earlier(connection, job, delivery.run, delivery.destination)

    def _made(self, job: JobRow, delivery: DeliveryRow, replaced: list[ResultRow]) -> ResultRow:
        """The note, durable. What an attempt left that died is made anew: the same run gives the same note."""
        with self._ledger.read() as connection:
            started_at = work.get_run(connection, job.id, delivery.run).started_at
        folder = fresh_folder(self._home, job.id, delivery.run, f"rejection-{delivery.destination}")
        made = encode_rejection(
            [
                Replaced(
                    RenditionKind(rendition_of(one.kind)),
                    SeriesUID(one.series_uid),
                    ClassUID(one.sop_class_uid),
                    InstanceUID(one.sop_uid),
                )
                for one in replaced
            ],
            self._home / replaced[0].path,
            card_of(self._models, job.model),
            RunIdentity(job_key=job.key, run=delivery.run, started_at=started_at),
            folder,
            delivery.destination,
        )
        make_durable(folder, self._home)
        kind = rejection_kind(delivery.destination)
        return result_row(made, job.id, delivery.run, self._home, kind=kind, position=LAST)

    def _enqueue(self, job: JobRow, delivery: DeliveryRow, row: ResultRow) -> None:
        """The note becomes a result of the run, and its delivery due once more: what was accepted is not sent again."""
        now = self._clock()
        with self._ledger.write() as connection:
            there = outbox.results_of(connection, job.id, delivery.run)
            if any(one.kind == row.kind for one in there):
                return
            found = outbox.get_delivery(connection, delivery.id)
            words = "a note on the results that these replaced is sent"
            if found.state not in ARRIVED or not outbox.change_delivery(
                connection, found, DeliveryEvent.RESENT, now, message=words, next_at=now
            ):
                return
            outbox.add_results(connection, [row])
            outbox.end_proof_of_earlier(connection, job, delivery.run, delivery.destination)
            self._queue.next_attempt(connection, found)
