"""Serves one association that a peer opened, in one thread that blocks while it is idle."""

import time
from collections.abc import Callable
from pathlib import Path

import structlog

from node.core.upper_layer import PduType
from node.intake import pdu
from node.intake.advice import Cause, advised
from node.intake.command import (
    AFFECTED_SOP_CLASS_UID,
    AFFECTED_SOP_INSTANCE_UID,
    MESSAGE_ID,
    Command,
    CommandField,
    read_command,
    response,
)
from node.intake.commitment import COMMITMENT_FIELDS, Statement, report
from node.intake.desk import PDU_SLACK_BYTES, Desk
from node.intake.handlers import StoreRequest
from node.intake.negotiation import VERIFICATION
from node.intake.opening import Opened
from node.intake.pdu import COMMAND, LAST, AbortReason, AbortSource, Breach
from node.intake.request import Context
from node.intake.status import STORED, SUCCESS
from node.intake.wire import Ended, Wire
from node.state.associations import AssociationOutcome
from node.state.spool import Aside
from node.state.transaction import PUSH_MODEL_CLASS

log = structlog.get_logger()

ANSWER_LOOKED_FOR_S = 0.2
ABORT_SOURCES = {0: Cause.BY_APPLICATION, 2: Cause.BY_DICOM_LAYER}
"""By the source field of an A-ABORT (PS3.8 table 9-26)."""


class Association:
    """An association from its acceptance to its end."""

    def __init__(self, wire: Wire, desk: Desk, opened: Opened) -> None:
        self._wire, self._desk, self._opened = wire, desk, opened
        self._entry = opened.entry
        self._command = bytearray()
        self._message_context = 0
        """Context id of the message that is being received, 0 between messages."""
        self._taking: StoreRequest | Statement | None = None
        self._request: Command | None = None
        self._prepared: Aside | None = None
        self._push_model = 0
        """Context id on which storage commitment was asked for."""
        self._awaited: set[str] = set()
        """Transactions that the peer asked for here and was not told the outcome of yet."""
        self._told: dict[int, Path] = {}
        """Answers that were told, by message id, until the peer has heard them."""

    def serve(self, given_up: Callable[[], str]) -> bytes:
        """Serve until the end; gives what the peer is still to be told. given_up: why it is to be aborted, or ""."""
        outcome = AssociationOutcome.ABORTED
        try:
            self._wire.send(self._opened.acceptance)
            last_word = self._converse()
            outcome = AssociationOutcome.RELEASED if last_word else outcome
            return last_word
        except Breach as breach:
            self._entry.remark(str(breach))
            return pdu.abort(AbortSource.SERVICE_PROVIDER, breach.reason)
        except Ended as ended:
            self._entry.remark(given_up() or str(ended))
            return pdu.abort(AbortSource.SERVICE_PROVIDER, AbortReason.NOT_SPECIFIED)
        finally:
            if self._taking is not None:
                self._taking.close()
            if self._prepared is not None:
                self._prepared.close()
            self._entry.end(outcome)

    def _converse(self) -> bytes:
        """Read PDUs until the peer releases (gives the A-RELEASE-RP) or aborts (gives nothing)."""
        limits = self._desk.limits
        largest = limits.max_pdu_bytes + PDU_SLACK_BYTES
        while True:
            self._tell_meanwhile()
            kind, body = self._wire.read_pdu(wait_s=limits.idle_timeout_s, largest=largest)
            if kind == PduType.P_DATA_TF:
                for context_id, control, fragment in pdu.values(body):
                    self._receive(context_id, control, fragment)
            elif kind == PduType.RELEASE_RQ:
                if self._message_context:
                    self._entry.remark(advised("the association was released within a message", Cause.STALLED))
                return pdu.RELEASE_RP
            elif kind == PduType.ABORT:
                cause = ABORT_SOURCES.get(body[2] if len(body) > 2 else 0, Cause.BY_APPLICATION)
                self._entry.remark(advised("the sender aborted", cause))
                return b""
            elif kind in set(PduType):
                raise Breach(f"a PDU of type {kind} has no place in an association", AbortReason.UNEXPECTED_PDU)
            else:
                raise Breach(f"a PDU of the unknown type {kind}", AbortReason.UNRECOGNIZED_PDU)

    def _receive(self, context_id: int, control: int, fragment: memoryview) -> None:
        """One fragment of a message (PS3.8 annex E)."""
        if context_id != self._message_context:
            if self._message_context:
                raise Breach("one message came on several presentation contexts", AbortReason.INVALID_PARAMETER)
            self._message_context = context_id
        if control & COMMAND:
            self._receive_command(context_id, fragment, is_last=bool(control & LAST))
        elif self._request is None:
            raise Breach("a data set came without its command", AbortReason.UNEXPECTED_PARAMETER)
        else:
            self._receive_data(fragment, is_last=bool(control & LAST))

    def _receive_command(self, context_id: int, fragment: memoryview, *, is_last: bool) -> None:
        if self._request is not None:
            raise Breach("a command came within a data set", AbortReason.UNEXPECTED_PARAMETER)
        self._command += fragment
        if len(self._command) > self._desk.limits.max_command_bytes:
            raise Breach(f"a command is longer than {self._desk.limits.max_command_bytes} bytes")
        if not is_last:
            return
        command = read_command(bytes(self._command))
        self._command.clear()
        context = self._opened.contexts.get(context_id)
        if context is None:
            raise Breach("a message came on a presentation context that was not accepted", cause=Cause.NOT_SERVED)
        field, has_data_set = command.field, command.has_data_set  # before any of it is begun
        self._begin(field, command, context)
        if not has_data_set:
            self._finish(command)

    def _tell_meanwhile(self) -> None:
        """While a peer that asked for storage commitment is silent, tell it the outcome once that is known."""
        deadline = time.monotonic() + self._desk.limits.idle_timeout_s
        while (
            self._awaited
            and not self._message_context
            and time.monotonic() < deadline
            and not self._wire.has_input(ANSWER_LOOKED_FOR_S)
        ):
            for path, letter in self._desk.answers.letters(f"{self._entry.record.id}+*"):
                if letter.transaction_uid in self._awaited:
                    self._awaited.discard(letter.transaction_uid)
                    self._told[len(self._told) + 1] = path
                    self._wire.send(report(letter, len(self._told), self._push_model, self._opened))

    def _begin(self, field: int, command: Command, context: Context) -> None:
        """A request has come, or the answer to one of ours; perhaps its data set follows."""
        may_store = context.abstract_syntax_uid not in (VERIFICATION, PUSH_MODEL_CLASS)
        if field == CommandField.C_STORE_RQ and may_store:
            missing = command.lacks(MESSAGE_ID, AFFECTED_SOP_CLASS_UID, AFFECTED_SOP_INSTANCE_UID)
            if missing:
                raise Breach(f"a C-STORE request came without {' and '.join(missing)}")
            prepared, self._prepared = self._prepared, None
            self._taking = StoreRequest(self._desk, self._entry, command, context, prepared)
        elif field in COMMITMENT_FIELDS and context.abstract_syntax_uid == PUSH_MODEL_CLASS:
            self._taking = Statement(self._desk, self._entry, command, context, self._opened.rights)
            self._push_model = self._message_context
        elif field == CommandField.N_EVENT_REPORT_RSP and command.responds_to in self._told:
            pass
        elif field != CommandField.C_CANCEL_RQ and not (
            field == CommandField.C_ECHO_RQ and context.abstract_syntax_uid == VERIFICATION
        ):
            raise Breach(f"{_called(field)} is not served on this presentation context", cause=Cause.NOT_SERVED)
        self._request = command

    def _receive_data(self, fragment: memoryview, *, is_last: bool) -> None:
        if self._taking is not None:
            self._taking.write(fragment)
            if self._taking.is_oversize and not is_last:
                why, cause = self._taking.oversize
                raise Breach(why, cause=cause)
        if is_last and self._request is not None:
            self._finish(self._request)

    def _finish(self, request: Command) -> None:
        """The message is whole: answer it."""
        context_id, taking = self._message_context, self._taking
        self._request, self._taking, self._message_context = None, None, 0
        if request.field == CommandField.C_CANCEL_RQ:
            return  # nothing is under way that could be cancelled, and it has no response (PS3.7 section 9.3.2.3)
        if request.field == CommandField.N_EVENT_REPORT_RSP:
            if request.status == SUCCESS:
                self._told[request.responds_to].unlink(missing_ok=True)
            return
        try:
            answer = STORED if taking is None else taking.answer()
            self._wire.send(pdu.p_data(context_id, COMMAND, response(request, answer), self._opened.largest_pdu))
        finally:
            if taking is not None:
                taking.close()
        if isinstance(taking, Statement) and answer.status == SUCCESS:
            self._awaited |= taking.transactions
        if isinstance(taking, StoreRequest) and answer.status == SUCCESS:
            # The sender is busy with its next instance now, and making a file may wait for the disk.
            self._prepared = self._desk.door.prepare()


def _called(field: int) -> str:
    try:
        return CommandField(field).name.removesuffix("_RQ").replace("_", "-")
    except ValueError:
        return f"command {field:04X}"
