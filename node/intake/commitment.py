"""Takes what peers say of storage commitment: reports on what we asked for, and requests; durable, then answered."""

import struct

import structlog

from node.core.admission import Accepted
from node.errors import IntakeError, NodeDraining, Unreadable
from node.intake import pdu
from node.intake.advice import Cause
from node.intake.command import (
    ACTION_TYPE_ID,
    AFFECTED_SOP_CLASS_UID,
    AFFECTED_SOP_INSTANCE_UID,
    COMMAND_DATA_SET_TYPE,
    COMMAND_FIELD,
    EVENT_TYPE_ID,
    MESSAGE_ID,
    REQUESTED_SOP_CLASS_UID,
    REQUESTED_SOP_INSTANCE_UID,
    Command,
    CommandField,
    encode,
    encode_uid,
)
from node.intake.desk import Desk
from node.intake.journal import Entry
from node.intake.opening import Opened
from node.intake.request import Context
from node.intake.status import Answer
from node.state.mailbox import AnswerLetter, ReportLetter, RequestLetter, Sender
from node.state.transaction import (
    ALL_COMMITTED,
    PUSH_MODEL_CLASS,
    PUSH_MODEL_INSTANCE,
    REQUEST,
    SOME_FAILED,
    encode_report,
    event_type,
    read_report,
    read_request,
)

log = structlog.get_logger()

COMMITMENT_FIELDS = (CommandField.N_EVENT_REPORT_RQ, CommandField.N_ACTION_RQ)
HEARD = Answer(0x0000)
NO_SUCH_INSTANCE = Answer(0x0112, "Not the instance of the Push Model")
NO_SUCH_EVENT = Answer(0x0113, "Event type is neither 1 nor 2")
INVALID_ARGUMENT = Answer(0x0115, "Data set is unreadable or lacks what it must have")
NO_SUCH_CLASS = Answer(0x0118, "Not the Storage Commitment Push Model")
NO_SUCH_ACTION = Answer(0x0123, "Action type is not 1")
NOT_AUTHORISED = Answer(0x0124, "Not allowed in this node's peers.toml")
LACKS_RESOURCE = Answer(0x0213, "No room, disk fault or being stopped; send again later")
"""Statuses of N-EVENT-REPORT and N-ACTION (PS3.7 sections 10.1.1.1.8 and 10.1.4.1.10)."""


class Statement:
    """One N-EVENT-REPORT or N-ACTION, from its command to its answer."""

    oversize = "a message of storage commitment is longer than this node takes", Cause.MESSAGE_TOO_LARGE

    def __init__(self, desk: Desk, entry: Entry, command: Command, context: Context, rights: Accepted) -> None:
        self._desk, self._entry, self._command, self._context, self._rights = desk, entry, command, context, rights
        self._is_report = command.field == CommandField.N_EVENT_REPORT_RQ
        self._content = bytearray()
        self.transactions: frozenset[str] = frozenset()
        """What was asked for, and is to be told on this association."""

    @property
    def is_oversize(self) -> bool:
        """Whether more has come than such a message may have."""
        return len(self._content) > self._desk.limits.max_identifier_bytes

    def write(self, fragment: memoryview) -> None:
        """The next bytes of the data set."""
        self._content += fragment

    def answer(self) -> Answer:
        """The data set has passed: what to tell the peer. Success means that what it said is durable."""
        answer = self._refusal()
        if answer is None:
            try:
                self._keep()
            except IntakeError as error:
                answer = INVALID_ARGUMENT if isinstance(error, Unreadable) else LACKS_RESOURCE
                log.warning("statement-not-taken", association=self._entry.record.id, why=str(error))
        else:
            log.warning("statement-refused", association=self._entry.record.id, why=answer.comment)
        return answer or HEARD

    def close(self) -> None:
        """It holds nothing open."""

    def _refusal(self) -> Answer | None:
        """Why it is not even read."""
        command = self._command
        affected = (AFFECTED_SOP_CLASS_UID, AFFECTED_SOP_INSTANCE_UID)
        requested = (REQUESTED_SOP_CLASS_UID, REQUESTED_SOP_INSTANCE_UID)
        sop_class, instance = map(command.uid, affected if self._is_report else requested)
        kind = _number(command, EVENT_TYPE_ID if self._is_report else ACTION_TYPE_ID)
        if not (self._rights.may_report if self._is_report else self._rights.may_ask):
            return NOT_AUTHORISED
        if sop_class != PUSH_MODEL_CLASS:
            return NO_SUCH_CLASS
        if instance != PUSH_MODEL_INSTANCE:
            return NO_SUCH_INSTANCE
        if self._is_report:
            return None if kind in (ALL_COMMITTED, SOME_FAILED) else NO_SUCH_EVENT
        return None if kind == REQUEST else NO_SUCH_ACTION

    def _keep(self) -> None:
        """Raises Unreadable, SpoolFull or NodeDraining."""
        if self._desk.door.is_draining:
            raise NodeDraining("the node is being stopped")
        content, syntax = bytes(self._content), self._context.transfer_syntax_uid
        if self._is_report:
            report = read_report(content, syntax)
            self._desk.reports.post(ReportLetter(self._sender(), report.transaction_uid, report.outcomes))
        else:
            request = read_request(content, syntax)
            self._desk.requests.post(RequestLetter(self._sender(), request.transaction_uid, request.references))
            self.transactions = frozenset({request.transaction_uid})

    def _sender(self) -> Sender:
        record = self._entry.record
        return Sender(record.peer or "", record.calling_ae, record.called_ae, record.id, self._desk.now())


def report(answer: AnswerLetter, message_id: int, context_id: int, opened: Opened) -> bytes:
    """The N-EVENT-REPORT that tells the outcome of a transaction on the association on which it was asked for."""
    elements = {
        AFFECTED_SOP_CLASS_UID: encode_uid(PUSH_MODEL_CLASS),
        COMMAND_FIELD: struct.pack("<H", CommandField.N_EVENT_REPORT_RQ),
        MESSAGE_ID: struct.pack("<H", message_id),
        COMMAND_DATA_SET_TYPE: struct.pack("<H", 0),
        AFFECTED_SOP_INSTANCE_UID: encode_uid(PUSH_MODEL_INSTANCE),
        EVENT_TYPE_ID: struct.pack("<H", event_type(answer.outcomes)),
    }
    syntax = opened.contexts[context_id].transfer_syntax_uid
    content = encode_report(answer.transaction_uid, answer.references, answer.outcomes, syntax)
    return pdu.p_data(context_id, pdu.COMMAND, encode(elements), opened.largest_pdu) + pdu.p_data(
        context_id, 0, content, opened.largest_pdu
    )


def _number(command: Command, element: int) -> int | None:
    value = command.elements.get(element, b"")
    return int(struct.unpack("<H", value)[0]) if len(value) == 2 else None
