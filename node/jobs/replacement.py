"""Encodes a finished run once more, in the form that a destination takes where it refused the first."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from uuid import uuid4

import sqlalchemy as sa
import structlog

from ai.errors import ModelError
from node.core.forms import Forms, form_to_send
from node.core.job import DeliveryState
from node.errors import IsocenterError
from node.jobs.renditions import forms_for, profile_of
from node.jobs.runner import Assignment
from node.jobs.stages import RESULTS_FILE, Stages
from node.results.profile import Profile
from node.settings import Peer
from node.state import outbox, work
from node.state.artefacts import MODE, discard, make_durable, whole
from node.state.ledger import Ledger, note
from node.state.queue import Queue
from node.state.rows import DeliveryRow, JobRow, ResultRow

log = structlog.get_logger()


class Replacement:
    """A task of its own beside the stages: the run has ended, and its results stay as they are."""

    def __init__(
        self,
        ledger: Ledger,
        queue: Queue,
        home: Path,
        stages: Stages,
        peers: Mapping[str, Peer],
        clock: Callable[[], datetime],
    ) -> None:
        self._ledger, self._queue, self._home, self._stages = ledger, queue, home, stages
        self._peers, self._clock = peers, clock

    def make(self, job_id: str, run: int, _attempt: int) -> None:
        """Add what the waiting deliveries of a run lack, and make them due. Doing so twice has the effect of once.

        Where it cannot be made, the delivery says why, and asks again at its next attempt.
        """
        with self._ledger.read() as connection:
            job = work.get_job(connection, job_id)
            waiting = [one for one in outbox.deliveries_of(connection, job_id) if one.run == run]
        for delivery in waiting:
            peer = self._peers.get(delivery.destination)
            if peer is None or not _may_lack(delivery, peer):
                continue
            try:
                self._complete(job, delivery, peer)
            except (IsocenterError, ModelError, OSError, MemoryError) as error:
                log.warning("replacement-not-made", job=job_id, delivery=delivery.id, error=type(error).__name__)
                with self._ledger.write() as connection:
                    words = f"{delivery.destination}: {error}"
                    now = self._clock()
                    note(connection, now, "replacement-not-made", words, job_id=job_id, delivery_id=delivery.id)

    def _complete(self, job: JobRow, delivery: DeliveryRow, peer: Peer) -> None:
        profile, forms = profile_of(peer, takes_label_maps=False), forms_for(peer)
        with self._ledger.read() as connection:
            is_there = self._is_there(connection, delivery, forms)
        folder = None if is_there else self._encoded(job, delivery.run, profile)
        with self._ledger.write() as connection:
            if folder is not None and not self._is_there(connection, delivery, forms):
                outbox.add_results(connection, self._rows(connection, delivery, folder))
                folder = None
            found = outbox.get_delivery(connection, delivery.id)
            if outbox.renew(connection, found, self._clock()):
                self._queue.next_attempt(connection, found)
        if folder is not None:
            discard(folder)

    def _is_there(self, connection: sa.Connection, delivery: DeliveryRow, forms: Forms) -> bool:
        kinds = {one.kind for one in outbox.results_of(connection, delivery.job_id, delivery.run)}
        return form_to_send(forms, encoded=kinds, begun=(), is_first_refused=True) is not None

    def _encoded(self, job: JobRow, run: int, profile: Profile) -> Path:
        """A durable folder with the run's objects in this profile; its images are read anew."""
        with self._ledger.read() as connection:
            facts = work.get_run(connection, job.id, run)
        if facts.findings is None:
            raise IsocenterError(f"job {job.id}: the findings of run {run} are no longer kept")
        name = uuid4().hex[:8]
        prepared, folder = (self._home / "work" / job.id / str(run) / f"{one}-{name}" for one in ("images", "replace"))
        for one in (prepared, folder):
            one.mkdir(mode=MODE, parents=True)
        of_run = replace(job, run=run)
        try:
            with whole(folder):
                self._stages.prepare(Assignment(of_run, facts.started_at, None, None, prepared))
                findings = self._home / facts.findings
                self._stages.encode_as([profile], Assignment(of_run, facts.started_at, prepared, findings, folder))
                make_durable(folder, self._home)
        finally:
            discard(prepared)
        return folder

    def _rows(self, connection: sa.Connection, delivery: DeliveryRow, folder: Path) -> list[ResultRow]:
        """What was made and is not there yet; the same run has the same UIDs."""
        there = {one.sop_uid for one in outbox.results_of(connection, delivery.job_id, delivery.run)}
        made = [ResultRow(**one) for one in json.loads((folder / RESULTS_FILE).read_text())["objects"]]
        return [replace(one, position=len(there) + one.position) for one in made if one.sop_uid not in there]


def _may_lack(delivery: DeliveryRow, peer: Peer) -> bool:
    return bool(forms_for(peer).instead) and delivery.state is DeliveryState.WAITING
