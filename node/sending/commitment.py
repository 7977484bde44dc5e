"""Asks a destination to keep for good what it took, and hears its report where that comes on the same association."""

import io
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime

import structlog
from pydicom.uid import ImplicitVRLittleEndian

from node.core.commitment import Ask, Verdict, judge_commitment
from node.errors import Unreadable
from node.sending import pdu
from node.sending.association import Association, AssociationFailed
from node.sending.destination import Destination, QueryRefused, SendOutcome, Terms
from node.sending.outcome import Answer, Interruption
from node.sending.pdu import N_EVENT_REPORT_RSP, Event, Malformed, Tag
from node.state import commitments
from node.state.ledger import Ledger
from node.state.rows import DeliveryRow, ResultRow
from node.state.transaction import (
    PUSH_MODEL_CLASS,
    PUSH_MODEL_INSTANCE,
    REQUEST,
    Reference,
    Report,
    Request,
    encode_request,
    read_report,
)

log = structlog.get_logger()

N_ACTION_RQ = 0x0130
SUCCESS, INVALID_ARGUMENT = 0x0000, 0x0115
SYNTAX = str(ImplicitVRLittleEndian)
CONTEXT = (PUSH_MODEL_CLASS, SYNTAX)
HEAR_S = 5.0
"""So long the association is kept for a report after the request was taken: the line of that destination waits."""

LATER, PARKED = SendOutcome.LATER, SendOutcome.PARKED
REFUSED = "{d.name} refuses to commit to storage for " + "{d.our_ae_title} ("
ACTION_STATUSES: dict[int, Answer] = {
    0x0110: Answer(LATER, "{d.name} failed over the request for storage commitment (0110). It is asked again."),
    0x0112: Answer(PARKED, REFUSED + "0112, no such instance): its storage commitment is set up wrongly"),
    0x0114: Answer(PARKED, REFUSED + "0114, no such argument): report it to its vendor"),
    0x0115: Answer(PARKED, REFUSED + "0115, invalid argument): report it to its vendor"),
    0x0117: Answer(PARKED, REFUSED + "0117, invalid instance): report it to its vendor"),
    0x0118: Answer(PARKED, REFUSED + "0118, no such class): enable storage commitment there"),
    0x0119: Answer(PARKED, REFUSED + "0119, class and instance conflict): report it to its vendor"),
    0x0123: Answer(PARKED, REFUSED + "0123, no such action): report it to its vendor"),
    0x0124: Answer(PARKED, REFUSED + "0124, not authorised): allow it there"),
    0x0210: Answer(LATER, "{d.name} took the request for a repeated one (0210). It is asked again."),
    0x0211: Answer(PARKED, REFUSED + "0211, unknown operation): enable storage commitment there"),
    0x0212: Answer(PARKED, REFUSED + "0212, mistyped argument): report it to its vendor"),
    0x0213: Answer(LATER, "{d.name} lacks a resource to commit to storage (0213). It is asked again."),
}
"""What a status of an N-ACTION response means (PS3.7 section 10.1.4.1.10): every failure that is defined there."""


def of_action(status: int | None) -> Answer:
    """What a failure of the request means; one that DICOM does not define is asked again."""
    if status is None or status not in ACTION_STATUSES:
        shown = "none" if status is None else f"{status:04X}"
        return Answer(LATER, "{d.name} answered the request for storage commitment with status " + shown + ".")
    return ACTION_STATUSES[status]


class Committing:
    """Storage commitment as its user (PS3.4 annex J): what was asked and reported is in the ledger, always first."""

    def __init__(self, ledger: Ledger, clock: Callable[[], datetime], hear_s: float = HEAR_S) -> None:
        self._ledger, self._clock, self._hear_s = ledger, clock, hear_s

    def verdict(self, delivery: DeliveryRow, terms: Terms, objects: Sequence[ResultRow]) -> Verdict:
        """Judge what was reported on the objects of a delivery, and ask where it is time to; never gives Ask.

        Raises AssociationFailed where it cannot be asked now, QueryRefused where a person must see to it.
        """
        sent = [one.sop_uid for one in objects]
        while True:
            with self._ledger.read() as connection:
                asked = commitments.transactions_of(connection, delivery)
            verdict = judge_commitment(sent=sent, asked=asked, lacking=delivery.lacking, now=self._clock())
            if not isinstance(verdict, Ask):
                return verdict
            self._ask(delivery, terms.destination, objects, verdict.number)

    def _ask(self, delivery: DeliveryRow, peer: Destination, objects: Sequence[ResultRow], number: int) -> None:
        with self._ledger.write() as connection:
            uid = commitments.plan(connection, delivery, number)
        request = Request(uid, tuple(Reference(one.sop_class_uid, one.sop_uid) for one in objects))
        log.info("commitment-asked", destination=peer.name, transaction=uid, objects=len(objects))
        with _Conversation(peer, self._heard(peer.name)) as conversation:
            if CONTEXT not in conversation.accepted:
                raise QueryRefused(
                    f"{peer.name} does not accept storage commitment: enable it there for {peer.our_ae_title}"
                )
            conversation.ask(request)
            with self._ledger.write() as connection:
                commitments.record_asked(connection, uid, self._clock())
            conversation.hear(uid, self._hear_s)

    def _heard(self, peer: str) -> Callable[[Report], None]:
        def keep(report: Report) -> None:
            with self._ledger.write() as connection:
                now = self._clock()
                commitments.take_report(connection, peer, report.transaction_uid, report.outcomes, now)

        return keep


class _Conversation(Association):
    """An association on which the peer may report too, before or after it has answered.

    heard: keeps a report for good; it is told that it was heard after that.
    """

    def __init__(self, peer: Destination, heard: Callable[[Report], None]) -> None:
        super().__init__(peer, [CONTEXT])
        self._heard = heard
        self._reported: set[str] = set()

    def ask(self, request: Request) -> None:
        """Make the request; returns once it was taken. Raises AssociationFailed and QueryRefused."""
        command: dict[Tag, int | str] = {
            Tag.REQUESTED_SOP_CLASS_UID: PUSH_MODEL_CLASS,
            Tag.COMMAND_FIELD: N_ACTION_RQ,
            Tag.REQUESTED_SOP_INSTANCE_UID: PUSH_MODEL_INSTANCE,
            Tag.ACTION_TYPE_ID: REQUEST,
        }
        response = self.request(self.accepted[CONTEXT], command, io.BytesIO(encode_request(request)))
        if response.status == SUCCESS:
            return
        answer = of_action(response.status)
        if answer.outcome is PARKED:
            raise QueryRefused(answer.text(self._destination))
        raise AssociationFailed(self._destination, answer)

    def hear(self, transaction_uid: str, wait_s: float) -> None:
        """Wait for the report on a transaction; it need not come here, nor now."""
        deadline, context_id = time.monotonic() + wait_s, self.accepted[CONTEXT]
        with suppress(AssociationFailed):
            while transaction_uid not in self._reported:
                self._take_event(context_id, super()._command(context_id, deadline), deadline)

    def _command(self, context_id: int, deadline: float) -> bytes:
        while True:
            command = super()._command(context_id, deadline)
            if not self._take_event(context_id, command, deadline):
                return command

    def _take_event(self, context_id: int, command: bytes, deadline: float) -> bool:
        """Take a report; False where the command is none."""
        try:
            event = pdu.read_event(command)
        except Malformed as error:
            raise self._failed(Interruption.NOT_DICOM) from error
        if event is None:
            return False
        content = self._part(context_id, 0, deadline) if event.has_data_set else b""
        try:
            report = read_report(content, SYNTAX)
        except Unreadable as error:
            log.warning("report-unreadable", destination=self._destination.name, why=str(error))
            self._answer(context_id, event, INVALID_ARGUMENT)
            return True
        self._heard(report)
        self._reported.add(report.transaction_uid)
        self._answer(context_id, event, SUCCESS)
        return True

    def _answer(self, context_id: int, event: Event, status: int) -> None:
        elements: dict[Tag, int | str] = {
            Tag.AFFECTED_SOP_CLASS_UID: PUSH_MODEL_CLASS,
            Tag.COMMAND_FIELD: N_EVENT_REPORT_RSP,
            Tag.MESSAGE_ID_BEING_RESPONDED_TO: event.message_id,
            Tag.COMMAND_DATA_SET_TYPE: pdu.NO_DATA_SET,
            Tag.STATUS: status,
            Tag.AFFECTED_SOP_INSTANCE_UID: PUSH_MODEL_INSTANCE,
        }
        message = pdu.p_data(context_id, pdu.COMMAND_BIT | pdu.LAST_BIT, pdu.command_set(elements))
        self._send(message, time.monotonic() + self._destination.stall_timeout_s)
