"""Takes one due delivery, sends its result set, and records the outcome: accepted, later, or parked for a person."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import sqlalchemy as sa
import structlog

from node.actions import send_waiting
from node.core.forms import LABEL_MAP, Forms, form_to_send
from node.core.job import DeliveryEvent, DeliveryState
from node.core.pausable import Pausable
from node.core.proof import FIRST_LOOK
from node.core.retry import GiveUp
from node.errors import LedgerUnusable
from node.sending.again import after_failure
from node.sending.destination import (
    Destination,
    ObjectOutcome,
    Parcel,
    QueryRefused,
    Sender,
    SendOutcome,
    SendReport,
    Terms,
)
from node.sending.outcome import NotReached
from node.sending.parcel import in_turn
from node.sending.patient import difference
from node.sending.proof import Prover
from node.settings import SendingTable
from node.state import arrivals, outbox, pauses, taken, work
from node.state.ledger import Ledger
from node.state.queue import Queue
from node.state.rows import DeliveryRow, ResultRow

log = structlog.get_logger()


@dataclass(frozen=True)
class FormLacking:
    """The form of the run that the destination takes is not there yet. refused: the SOP class just refused, if any."""

    refused: str | None = None


class Courier:
    """One of the four edges that catch everything: whatever happens to one delivery leaves the others alone."""

    def __init__(
        self,
        ledger: Ledger,
        queue: Queue,
        sender_to: Callable[[Destination], Sender],
        *,
        home: Path,
        destinations: Mapping[str, Terms],
        settings: SendingTable,
        clock: Callable[[], datetime],
    ) -> None:
        """sender_to: chooses how results go to a destination. destinations: by name."""
        self._prover = Prover(ledger, queue, settings, clock)
        self._ledger, self._queue, self._sender_to, self._home = ledger, queue, sender_to, home
        self._destinations, self._settings, self._clock = destinations, settings, clock
        self._answering: set[str] = set()

    def deliver(self, delivery_id: str, attempt: int) -> None:
        """One attempt to send, or to prove what was accepted. One that is no longer due does nothing; one that died is
        taken up where it stopped."""
        with self._ledger.write() as connection:
            delivery = outbox.get_delivery(connection, delivery_id)
            if pauses.is_paused(connection, Pausable.DESTINATION, delivery.destination):
                return
            if delivery.attempt != attempt:
                return
            if delivery.state is DeliveryState.WAITING and self._is_out_of_date(connection, delivery):
                return
            is_accepted = delivery.state is DeliveryState.ACCEPTED
            started = DeliveryEvent.STARTED
            if not is_accepted and not outbox.change_delivery(connection, delivery, started, self._clock()):
                return
        with structlog.contextvars.bound_contextvars(job=delivery.job_id, delivery=delivery_id):
            report: SendReport | FormLacking | NotReached | str
            try:
                if is_accepted:
                    self._prove(delivery)
                    return
                report = self._send(delivery)
            except NotReached as failed:
                report = failed
            except QueryRefused as refused:
                report = f"{refused}; or set its query to false"
            except LedgerUnusable:
                raise  # tried again once the ledger can be used: nobody need look at the delivery
            except Exception as error:
                log.exception("delivery-failed")
                report = f"{type(error).__name__}: {error}"
            self._record(delivery_id, report)

    def _is_out_of_date(self, connection: sa.Connection, delivery: DeliveryRow) -> bool:
        """Drop what newer results replaced while it was being sent, and could not be dropped."""
        newer = outbox.newer_results(connection, delivery)
        if newer is None:
            return False
        message = f"newer results go instead: job {newer[0]}, run {newer[1]}"
        return outbox.change_delivery(connection, delivery, DeliveryEvent.DROPPED, self._clock(), message=message)

    def _prove(self, delivery: DeliveryRow) -> None:
        terms = self._destinations.get(delivery.destination)
        if terms is not None and terms.is_proof_due and delivery.next_at is not None:
            self._prover.prove(delivery, terms)

    def _send(self, delivery: DeliveryRow) -> SendReport | FormLacking | str:
        """What became of the objects, or why a person must look. Raises NotReached and QueryRefused."""
        terms = self._destinations.get(delivery.destination)
        if terms is None:
            return f"destination {delivery.destination!r} is not in peers.toml: add it again, or drop the delivery"
        destination = terms.destination
        with self._ledger.read() as connection:
            results = outbox.results_of(connection, delivery.job_id, delivery.run)
            accepted = outbox.accepted_objects(connection, delivery.id)
            kinds = self._kinds(connection, delivery, terms.forms, results)
            study = arrivals.get_study(connection, work.get_job(connection, delivery.job_id).study_id)
        if results and terms.is_patient_checked and not accepted:
            differing = difference(destination, study.study_uid, self._home / results[0].path)
            if differing:
                return (
                    f"{destination.name} has another {differing} for this study than its images said: find out which "
                    f"is right. What is there: `isocenter correct {delivery.id}` makes the results anew with that. "
                    "What the images said: resend once it is corrected there"
                )
        if kinds is None:
            return FormLacking()
        parcels = self._parcels([one for one in results if one.kind in kinds], is_choice=bool(terms.forms.instead))
        parcels = in_turn(parcels, accepted, delivery.attempt)
        if not parcels:
            return (
                f"this run was encoded in none of the forms that {destination.name} takes now (its renditions or "
                "profile in peers.toml have changed since): `isocenter again` encodes it anew"
            )
        log.info("delivery-started", destination=destination.name, objects=len(parcels) - len(accepted))
        report = self._sender_to(destination).send(destination, parcels, accepted)
        return FormLacking(refused=LABEL_MAP) if report.is_form_refused else report

    def _kinds(
        self, connection: sa.Connection, delivery: DeliveryRow, forms: Forms, results: list[ResultRow]
    ) -> frozenset[str] | None:
        begun = outbox.begun_objects(connection, delivery.id)
        return form_to_send(
            forms,
            encoded={one.kind for one in results},
            begun={one.kind for one in results if one.sop_uid in begun},
            is_first_refused=taken.is_taken(connection, delivery.destination, LABEL_MAP) is False,
        )

    def _parcels(self, results: list[ResultRow], *, is_choice: bool) -> list[Parcel]:
        """Files to send."""
        return [
            Parcel(
                self._home / one.path,
                one.sop_class_uid,
                one.sop_uid,
                one.transfer_syntax_uid,
                is_replaceable=is_choice and one.sop_class_uid == LABEL_MAP,
            )
            for one in results
        ]

    def _record(self, delivery_id: str, report: SendReport | FormLacking | NotReached | str) -> None:
        now, is_back = self._clock(), False
        with self._ledger.write() as connection:
            delivery = outbox.get_delivery(connection, delivery_id)
            if isinstance(report, str):
                outbox.change_delivery(connection, delivery, DeliveryEvent.PARKED, now, message=report)
                return
            if isinstance(report, NotReached):
                if report.answer.is_away:
                    self._answering.discard(delivery.destination)
                self._not_asked(connection, delivery, report, now)
                return
            if isinstance(report, FormLacking):
                self._have_replaced(connection, delivery, report, now)
                return
            for one in report.objects:
                self._record_object(connection, delivery_id, one, now)
            if report.outcome is SendOutcome.ACCEPTED:
                self._accept(connection, delivery, report.text, now)
                is_back = delivery.destination not in self._answering
                self._answering.add(delivery.destination)
            elif report.outcome is SendOutcome.PARKED:
                outbox.change_delivery(connection, delivery, DeliveryEvent.PARKED, now, message=report.text)
            else:
                if report.is_away:
                    self._answering.discard(delivery.destination)
                self._postpone(connection, delivery, report.text, now, report.pause_s)
        log.info("delivery-ended", outcome=report.outcome.value)
        if is_back:
            self._send_what_waited(delivery.destination, now)

    def _send_what_waited(self, destination: str, now: datetime) -> None:
        """It is back, or this process hears of it for the first time: what waits for it need not wait for the end of
        its pause. What goes on failing there is not hurried by what goes through: only once the destination was away
        again."""
        count = send_waiting(self._ledger, self._queue, destination, now)
        if count:
            log.info("destination-is-back", destination=destination, deliveries=count)

    def _record_object(self, connection: sa.Connection, delivery_id: str, one: ObjectOutcome, now: datetime) -> None:
        outbox.record_sent(
            connection,
            delivery_id,
            one.sop_instance_uid,
            now,
            outcome=one.outcome.value,
            status=one.status,
            message=one.text,
        )

    def _not_asked(self, connection: sa.Connection, delivery: DeliveryRow, failed: NotReached, now: datetime) -> None:
        if failed.answer.outcome is SendOutcome.PARKED:
            outbox.change_delivery(connection, delivery, DeliveryEvent.PARKED, now, message=str(failed))
        else:
            self._postpone(connection, delivery, str(failed), now, failed.pause_s)

    def _have_replaced(
        self, connection: sa.Connection, delivery: DeliveryRow, lacking: FormLacking, now: datetime
    ) -> None:
        """Ask a worker for the form that the destination takes, and try again at the latest when the backoff ends."""
        if lacking.refused is not None:
            taken.record_taken(connection, delivery.destination, {lacking.refused: False}, now)
        priority = work.get_job(connection, delivery.job_id).priority
        self._queue.replacement(connection, delivery, priority=priority)
        text = f"{delivery.destination} takes no label maps: the results are encoded with a binary segmentation for it"
        self._postpone(connection, delivery, text, now)

    def _accept(self, connection: sa.Connection, delivery: DeliveryRow, text: str, now: datetime) -> None:
        terms = self._destinations[delivery.destination]
        is_proof_due = terms.is_proof_due
        look_at = now + FIRST_LOOK if is_proof_due else None
        if not outbox.change_delivery(connection, delivery, DeliveryEvent.ACCEPTED, now, message=text, next_at=look_at):
            return
        if is_proof_due:
            self._queue.next_attempt(connection, delivery, after=FIRST_LOOK)
        if terms.is_told_of_replaced:
            priority = work.get_job(connection, delivery.job_id).priority
            self._queue.rejection(connection, delivery, priority=priority)

    def _postpone(
        self, connection: sa.Connection, delivery: DeliveryRow, text: str, now: datetime, pause_s: float = 0
    ) -> None:
        verdict = after_failure(delivery, now, self._settings, pause_s)
        if isinstance(verdict, GiveUp):
            message = f"{verdict.why}; last: {text}"
            outbox.change_delivery(connection, delivery, DeliveryEvent.PARKED, now, message=message)
            return
        next_at = now + verdict.after
        if outbox.change_delivery(connection, delivery, DeliveryEvent.POSTPONED, now, message=text, next_at=next_at):
            self._queue.next_attempt(connection, delivery, after=verdict.after)
