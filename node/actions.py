"""What an operator, or a peer's report, does to a study, a job or a delivery; whoever hears of it calls this."""

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import sqlalchemy as sa

from node.core.batches import in_batches
from node.core.identity import Registered
from node.core.job import JOB_ENDED, DeliveryEvent, DeliveryState, JobEvent, JobState, StudyEvent, StudyState
from node.core.pausable import Pausable
from node.errors import NotFound, NotPossible
from node.settings import Configuration
from node.state import arrivals, commitments, corrections, outbox, pauses, retention, schema, work
from node.state.ledger import Ledger, note
from node.state.mailbox import Mailbox, ReportLetter
from node.state.queue import Queue
from node.state.rows import DeliveryRow, JobRow

ENQUEUED_AT_ONCE = 20
"""In a transaction: others wait to write meanwhile."""


@dataclass(frozen=True)
class Resent:
    """How many deliveries are being sent, and how many of those asked for are not: newer results replaced theirs."""

    sent: int
    outdated: int


@dataclass(frozen=True)
class Operator:
    """The ledger and the queue, as an operator's actions need them."""

    ledger: Ledger
    queue: Queue

    def complete(self, study_key: str, now: datetime) -> str:
        """Take a study as complete now; the node does so within a second. Returns the study's id."""
        with self.ledger.write() as connection:
            study = arrivals.get_study(connection, study_key)
            if study.state is not StudyState.GATHERING:
                raise NotPossible(
                    f"study {study.id} is {study.state.value}; only one that is gathering can be completed"
                )
            connection.execute(schema.study.update().where(schema.study.c.id == study.id).values(ordered=True))
            note(connection, now, "complete-ordered", "by an operator", study_id=study.id)
        return study.id

    def release(self, study_key: str, now: datetime, *, latest: bool) -> str:
        """Let a held study go on, after its quiet time; returns its id.

        latest: of images that came twice with other content, the later ones count instead of the first.
        """
        with self.ledger.write() as connection:
            study = arrivals.get_study(connection, study_key)
            if latest:
                arrivals.put_latest_in_force(connection, study.id)
            words = "by an operator, with the later images" if latest else "by an operator"
            if not arrivals.change_study(connection, study, StudyEvent.RELEASED, now, why=words, last_at=now):
                raise NotPossible(f"study {study.id} is {study.state.value}; only one that is held can be released")
        return study.id

    def retry(self, job_id: str, now: datetime) -> None:
        """Put a failed, refused or cancelled job back at the stage where it ended."""
        self._put_back(job_id, now, new_run=False)

    def again(self, job_id: str, now: datetime) -> None:
        """Run an ended job from the start as a new run; its results get new UIDs."""
        self._put_back(job_id, now, new_run=True)

    def _put_back(self, job_id: str, now: datetime, *, new_run: bool) -> None:
        with self.ledger.write() as connection:
            job = work.get_job(connection, job_id)
            allowed = JOB_ENDED - {JobState.SUPERSEDED} - (set() if new_run else {JobState.ENCODED})
            if job.state not in allowed:
                instead = "; `isocenter again` runs it anew" if job.state is JobState.ENCODED else ""
                raise NotPossible(f"job {job.id} is {job.state.value}{instead}")
            self._begin_again(connection, job, now, new_run=new_run)

    def _begin_again(self, connection: sa.Connection, job: JobRow, now: datetime, *, new_run: bool) -> None:
        if arrivals.get_study(connection, job.study_id).state is StudyState.PURGED:
            raise NotPossible(
                f"the images of job {job.id} were removed when their time was over: "
                f"`isocenter erase {job.study_id}`, and have the study sent again"
            )
        ticket = work.put_back(connection, job, new_run=new_run, now=now)
        if ticket is None:
            raise NotPossible(f"job {job.id} has just changed; look at it and try again")
        self.queue.stage(connection, ticket, priority=job.priority)

    def cancel(self, job_id: str, now: datetime) -> None:
        """Let no further stage of the job start; what runs now is not adopted."""
        with self.ledger.write() as connection:
            job = work.get_job(connection, job_id)
            if not work.end_job(connection, job, JobEvent.CANCELLED, now, message="by an operator"):
                raise NotPossible(f"job {job.id} is {job.state.value}; nothing is left to cancel")

    def erase(self, study_key: str, home: Path, now: datetime) -> int:
        """Remove a study with its files, results and facts, on request; returns how many files that were."""
        with self.ledger.read() as connection:
            study = arrivals.get_study(connection, study_key)

        def stop(connection: sa.Connection) -> None:
            for job in work.jobs_of(connection, study.id):
                work.end_job(connection, job, JobEvent.CANCELLED, now, message="the study is erased")
                for delivery in outbox.deliveries_of(connection, job.id):
                    outbox.change_delivery(connection, delivery, DeliveryEvent.DROPPED, now, message="erased")
                    if delivery.state is DeliveryState.SENDING:
                        raise NotPossible(f"delivery {delivery.id} is being sent at this moment; erase a little later")
                if work.is_under_way(connection, job):
                    raise NotPossible(f"job {job.id} runs at this moment; cancel it, and erase a little later")

        return retention.erase(self.ledger, home, study.id, now, stop)

    def pause(self, kind: Pausable, name: str, now: datetime) -> None:
        """Start nothing more of a route, a model or a destination; what runs now goes on."""
        with self.ledger.write() as connection:
            if not pauses.pause(connection, kind, name, now):
                raise NotPossible(f"{kind.value} {name} is paused already")

    def resume(self, kind: Pausable, name: str, now: datetime) -> None:
        """Go on with what waited while a route, a model or a destination was paused. What an interruption left behind
        the service puts back."""
        with self.ledger.write() as connection:
            if not pauses.resume(connection, kind, name, now):
                raise NotPossible(f"{kind.value} {name} is not paused")
        if kind is Pausable.DESTINATION:
            send_waiting(self.ledger, self.queue, name, now, afresh=True)
        else:
            self._resume_jobs(kind, name, now)

    def _resume_jobs(self, kind: Pausable, name: str, now: datetime) -> None:
        with self.ledger.read() as connection:
            jobs = [
                job
                for job in work.unfinished_jobs(connection)
                if name == (job.route if kind is Pausable.ROUTE else job.model)
            ]
        for some in in_batches(jobs, ENQUEUED_AT_ONCE):
            with self.ledger.write() as connection:
                for job in some:
                    if not work.is_under_way(connection, job):
                        self.queue.stage_again(connection, job, now)

    def resend(self, delivery_id: str, now: datetime) -> None:
        """Send a delivery now: what waits at once, what is parked or was dropped again, what was delivered once more in
        full. Never what newer results replaced: a reader would take the older ones, come last, for the present ones."""
        with self.ledger.write() as connection:
            self._send_now(connection, outbox.get_delivery(connection, delivery_id), now)

    def resend_parked(self, destination: str, now: datetime) -> Resent:
        """Send now whatever is parked for a destination, as `resend` does."""
        with self.ledger.read() as connection:
            parked = outbox.those_for(connection, destination, DeliveryState.PARKED)
        sent = outdated = 0
        for some in in_batches(parked, ENQUEUED_AT_ONCE):
            with self.ledger.write() as connection:
                for delivery in some:
                    if outbox.newer_results(connection, delivery) is not None:
                        outdated += 1
                        continue
                    with suppress(NotPossible):  # somebody else has acted upon it meanwhile
                        self._send_now(connection, delivery, now)
                        sent += 1
        return Resent(sent, outdated)

    def _send_now(self, connection: sa.Connection, delivery: DeliveryRow, now: datetime) -> None:
        newer = outbox.newer_results(connection, delivery)
        if newer is not None:
            raise NotPossible(
                f"delivery {delivery.id} is out of date: newer results replaced these (job {newer[0]}, run "
                f"{newer[1]}); resend the delivery of those"
            )
        if delivery.state in (DeliveryState.ACCEPTED, DeliveryState.PROVEN):
            outbox.forget_accepted(connection, delivery.id)
        if not outbox.change_delivery(connection, delivery, DeliveryEvent.RESENT, now, message="by an operator"):
            raise NotPossible(f"delivery {delivery.id} is being sent at this moment")
        self.queue.next_attempt(connection, delivery)

    def correct(self, delivery_id: str, registered: Registered, now: datetime) -> int:
        """Take a delivery's study for what its destination has it registered as: every job of it that has results runs
        anew, and nothing more is sent of the earlier ones. Returns how many jobs these are."""
        with self.ledger.write() as connection:
            delivery = outbox.get_delivery(connection, delivery_id)
            study_id = work.get_job(connection, delivery.job_id).study_id
            jobs = work.jobs_of(connection, study_id)
            at_work = next((job.id for job in jobs if job.state not in JOB_ENDED), None)
            if at_work is not None:
                raise NotPossible(f"job {at_work} of this study is at work: correct it once that has ended")
            corrections.correct(connection, study_id, registered, delivery.destination, now)
            encoded = [job for job in jobs if job.state is JobState.ENCODED]
            for job in encoded:
                self._run_corrected(connection, job, now)
        return len(encoded)

    def _run_corrected(self, connection: sa.Connection, job: JobRow, now: datetime) -> None:
        for one in outbox.deliveries_of(connection, job.id):
            if one.state is DeliveryState.SENDING:
                raise NotPossible(f"delivery {one.id} is being sent at this moment: correct the study a little later")
            words = "the study was corrected: its results are made anew"
            outbox.change_delivery(connection, one, DeliveryEvent.DROPPED, now, message=words)
        self._begin_again(connection, job, now, new_run=True)

    def drop(self, delivery_id: str, reason: str, now: datetime) -> None:
        """Give a delivery up that waits or is parked; the reason is kept in the history."""
        words = " ".join(reason.split())
        if not words:
            raise NotPossible("say why it is dropped: whoever looks for these results will ask")
        with self.ledger.write() as connection:
            delivery = outbox.get_delivery(connection, delivery_id)
            if not outbox.change_delivery(connection, delivery, DeliveryEvent.DROPPED, now, message=words):
                raise NotPossible(
                    f"delivery {delivery.id} is {delivery.state.value}; only one that waits or is parked can be dropped"
                )


def check_pausable(configuration: Configuration, kind: Pausable, name: str) -> None:
    """See that there is what somebody names: paused under a name that nothing has, all would go on. Raises NotFound."""
    known = {
        Pausable.ROUTE: [one.name for one in configuration.routes],
        Pausable.MODEL: [one.model for one in configuration.routes],
        Pausable.DESTINATION: [one.name for one in configuration.peers if "destination" in one.roles],
    }[kind]
    if name not in known:
        raise NotFound(f"no {kind.value} is called {name!r}; there are: {', '.join(sorted(set(known))) or 'none'}")


def send_waiting(ledger: Ledger, queue: Queue, destination: str, now: datetime, *, afresh: bool = False) -> int:
    """Send now what waits for a destination; returns how much that is. afresh: as if nothing of it had been tried."""
    with ledger.read() as connection:
        waiting = outbox.those_for(connection, destination, DeliveryState.WAITING)
    count = 0
    for some in in_batches([one for one in waiting if afresh or (one.next_at or now) > now], ENQUEUED_AT_ONCE):
        with ledger.write() as connection:
            for delivery in some:
                if outbox.renew(connection, delivery, now, afresh=afresh):
                    queue.next_attempt(connection, delivery)
                    count += 1
    return count


def keep_reports(ledger: Ledger, queue: Queue, reports: Mailbox[ReportLetter], now: datetime) -> int:
    """Write what receivers heard of storage commitment to the ledger, and have the deliveries judged by it at once.

    Returns how many there were; doing so twice changes nothing.
    """
    count = 0
    for path, letter in reports.letters():
        with ledger.write() as connection:
            delivery = commitments.take_report(
                connection, letter.sender.peer, letter.transaction_uid, letter.outcomes, letter.sender.at
            )
            if delivery is not None and delivery.state is DeliveryState.ACCEPTED and delivery.next_at is not None:
                outbox.renew(connection, delivery, now)
                queue.next_attempt(connection, delivery)
        path.unlink(missing_ok=True)
        count += 1
    return count
