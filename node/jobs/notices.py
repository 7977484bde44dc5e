"""Tells destinations that want to know it when images were not analysed, and why."""

from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path

import structlog

from ai.contract import Model
from ai.errors import ModelError
from node.core.identity import SeriesUID
from node.core.job import JobState
from node.core.reasons import ADVICE
from node.errors import IsocenterError, ReasonCode
from node.jobs.catalogue import card_of
from node.results.uids import RunIdentity
from node.settings import Peer
from node.state import arrivals, outbox, work
from node.state.artefacts import fresh_folder, make_durable
from node.state.ledger import Ledger
from node.state.queue import Queue
from node.state.rows import JobRow, ResultRow

log = structlog.get_logger()

ANNOUNCED = (JobState.REFUSED, JobState.FAILED)
"""How a job ends that has a notice."""


def notice_run(run: int) -> int:
    """Under which number the ledger keeps a run's notice: below every run's, so that a retry's results replace it."""
    return -run


class Notices:
    """Makes a job's notice once per run; doing so again has no effect."""

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

    def announce(self, job_id: str) -> None:
        """Make the notice of a job that ended refused or failed, and enqueue it for every destination that wants it.

        Where it cannot be made now, `node.service.unannounced` has it tried again.
        """
        with self._ledger.read() as connection:
            job = work.get_job(connection, job_id)
            wanting = [one for one in job.destinations if self._is_wanted(one)]
            made_before = outbox.results_of(connection, job.id, notice_run(job.run))
        if job.state not in ANNOUNCED or not wanting or made_before:
            return
        try:
            rows = self._make(job)
        except (IsocenterError, ModelError, OSError) as error:
            log.warning("notice-not-made", job=job.id, error=type(error).__name__)
            return
        now = self._clock()
        with self._ledger.write() as connection:
            if outbox.results_of(connection, job.id, notice_run(job.run)):
                return
            outbox.add_results(connection, rows)
            for destination in wanting:
                made = outbox.add_delivery(connection, job, destination, now, run=notice_run(job.run))
                self._queue.delivery(
                    connection, made.id, destination=destination, attempt=made.attempt, priority=job.priority
                )

    def _is_wanted(self, destination: str) -> bool:
        peer = self._peers.get(destination)
        return peer is not None and peer.failures

    def _make(self, job: JobRow) -> list[ResultRow]:
        # With all of highdicom, for which most processes that could have to make a notice never have a use.
        from node.jobs.recorded import result_row
        from node.results.notice import Cause, Unanalysed, encode_notice

        card = card_of(self._models, job.model)
        with self._ledger.read() as connection:
            inputs = work.inputs_of(connection, job.id)
            stack = inputs.get(card.reference) or next(iter(inputs.values()))
            held = arrivals.instances_in_force(connection, job.study_id, [SeriesUID(stack.series_uid)])
            started_at = work.get_run(connection, job.id, job.run).started_at
        paths = {one.facts.sop_instance_uid: self._home / one.path for one in held}
        uids = list(dict.fromkeys(frame.sop_instance_uid for frame in stack.frames))
        first = next((paths[uid] for uid in uids if uid in paths), None)
        if first is None:
            raise IsocenterError(f"job {job.id}: its images are no longer in the spool")
        folder = fresh_folder(self._home, job.id, job.run, "notice")
        made = encode_notice(
            Unanalysed(held[0].facts.study_uid, SeriesUID(stack.series_uid), dict.fromkeys(uids, stack.sop_class_uid)),
            first,
            card,
            RunIdentity(job_key=job.key, run=job.run, started_at=started_at),
            folder,
            cause=Cause(job.state.value),
            reason=f"{job.reason}: {job.message}",
            advice=ADVICE[ReasonCode(job.reason)] if job.reason else "",
            route=job.route,
        )
        make_durable(folder, self._home)
        return [
            result_row(one, job.id, notice_run(job.run), self._home, kind=one.kind.value, position=position)
            for position, one in enumerate(made)
        ]
