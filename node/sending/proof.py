"""Proves that results arrived: asks the destination to commit to them, or what it holds, and records what follows."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from node.core.commitment import LookThere
from node.core.forms import REJECTION, rendition_of
from node.core.job import DeliveryEvent
from node.core.proof import Doubtful, LookAgain, Proven, SendAgain, judge
from node.core.retry import GiveUp
from node.sending import qido, query
from node.sending.again import after_failure
from node.sending.commitment import Committing
from node.sending.destination import QueryRefused, Terms
from node.sending.outcome import NotReached
from node.settings import SendingTable
from node.state import arrivals, outbox, work
from node.state.ledger import Ledger
from node.state.queue import Queue
from node.state.rows import DeliveryRow, ResultRow


class Prover:
    """Looks at accepted deliveries whose destination's arrival is to be proven."""

    def __init__(self, ledger: Ledger, queue: Queue, settings: SendingTable, clock: Callable[[], datetime]) -> None:
        self._ledger, self._queue, self._settings, self._clock = ledger, queue, settings, clock
        self._committing = Committing(ledger, clock)

    def prove(self, delivery: DeliveryRow, terms: Terms) -> None:
        """Look or ask once. A destination that cannot be reached is asked again as long as it would be sent to."""
        with self._ledger.read() as connection:
            results = outbox.results_of(connection, delivery.job_id, delivery.run)
            accepted = outbox.accepted_objects(connection, delivery.id)
            study_id = work.get_job(connection, delivery.job_id).study_id
            study_uid = arrivals.get_study(connection, study_id).study_uid
        # Archives act on a rejection note and hide it: its answer to storing it is all there is to know.
        sent = [one for one in results if one.sop_uid in accepted and rendition_of(one.kind) != REJECTION]
        try:
            verdict, words = self._verdict(delivery, terms, study_uid, sent)
        except QueryRefused as refused:
            self._change(delivery, DeliveryEvent.PARKED, f'{refused}; or set its proof to "none"')
            return
        except NotReached as failed:
            self._postpone(delivery, f"its arrival is not proven yet: {failed}", failed.pause_s)
            return
        if isinstance(verdict, Proven):
            self._change(delivery, DeliveryEvent.PROVEN, words)
        elif isinstance(verdict, Doubtful):
            self._change(delivery, DeliveryEvent.PARKED, verdict.why)
        elif isinstance(verdict, LookAgain):
            self._look_again(delivery, verdict.why, verdict.after)
        else:
            self._send_again(delivery, verdict)

    def _verdict(
        self, delivery: DeliveryRow, terms: Terms, study_uid: str, sent: Sequence[ResultRow]
    ) -> tuple[Proven | LookAgain | SendAgain | Doubtful, str]:
        """What is to be done, with what proves it. Raises AssociationFailed and QueryRefused."""
        listed = f"{len(sent)} objects are listed there"
        if not terms.is_commitment_asked:
            return self._listed(delivery, terms, study_uid, sent), listed
        verdict = self._committing.verdict(delivery, terms, sent)
        if not isinstance(verdict, LookThere):
            return verdict, f"it has committed to keep {len(sent)} objects"
        try:
            return self._listed(delivery, terms, study_uid, sent), f"{listed}, but {verdict.why}"
        except QueryRefused as refused:
            raise QueryRefused(f"{verdict.why}, and {refused}") from refused

    def _listed(
        self, delivery: DeliveryRow, terms: Terms, study_uid: str, sent: Sequence[ResultRow]
    ) -> Proven | LookAgain | SendAgain | Doubtful:
        asked = query.instances_held if terms.destination.web is None else qido.instances_held
        held = asked(terms.destination, study_uid, sorted({one.series_uid for one in sent}))
        uids, now = [one.sop_uid for one in sent], self._clock()
        return judge(sent=uids, held=held, accepted_at=delivery.changed_at, lacking=delivery.lacking, now=now)

    def _change(self, delivery: DeliveryRow, happened: DeliveryEvent, message: str) -> None:
        with self._ledger.write() as connection:
            outbox.change_delivery(connection, delivery, happened, self._clock(), message=message)

    def _postpone(self, delivery: DeliveryRow, message: str, pause_s: float) -> None:
        now = self._clock()
        verdict = after_failure(delivery, now, self._settings, pause_s)
        if isinstance(verdict, GiveUp):
            self._change(delivery, DeliveryEvent.PARKED, message)
        else:
            self._look_again(delivery, message, verdict.after)

    def _look_again(self, delivery: DeliveryRow, message: str, after: timedelta) -> None:
        with self._ledger.write() as connection:
            if outbox.look_again(connection, delivery, self._clock() + after, message):
                self._queue.next_attempt(connection, delivery, after=after)

    def _send_again(self, delivery: DeliveryRow, verdict: SendAgain) -> None:
        now = self._clock()
        with self._ledger.write() as connection:
            outbox.record_lacking(connection, delivery.id, verdict.missing)
            happened, message = DeliveryEvent.POSTPONED, f"{verdict.why}; these are sent again"
            if outbox.change_delivery(connection, delivery, happened, now, message=message, next_at=now):
                self._queue.next_attempt(connection, delivery)
