"""Translates a C-STORE request into calls of the door, and their outcome back into an answer."""

import secrets
from collections.abc import Callable

import structlog

from node.errors import IntakeError, Unreadable
from node.intake.advice import Cause
from node.intake.command import AFFECTED_SOP_CLASS_UID, AFFECTED_SOP_INSTANCE_UID, Command
from node.intake.desk import Desk
from node.intake.door import Offer, Passage
from node.intake.journal import Entry
from node.intake.request import Context
from node.intake.status import STORED, SUCCESS, Answer, answer_to, our_fault
from node.state.spool import Aside, Origin

log = structlog.get_logger()


class StoreRequest:
    """One C-STORE, from its command to its answer. size_bytes: of the data set so far.

    What goes wrong is answered at the end of the data set, which is read and dropped until then.
    """

    oversize = "an instance is larger than intake.max_instance_mb and still coming", Cause.TOO_LARGE

    def __init__(self, desk: Desk, entry: Entry, command: Command, context: Context, prepared: Aside | None) -> None:
        self._entry = entry
        self._answer: Answer | None = None
        self._why = ""
        self._passage: Passage | None = None
        self._most = desk.door.max_instance_bytes
        self.size_bytes = 0
        self._prepared = prepared
        self._attempt(lambda: self._enter(desk, command, context))

    @property
    def is_oversize(self) -> bool:
        """Whether more has come than an instance may have."""
        return self.size_bytes > self._most

    def write(self, fragment: memoryview) -> None:
        """The next bytes of the data set."""
        self.size_bytes += len(fragment)
        passage = self._passage
        if passage is not None:
            self._attempt(lambda: passage.write(fragment))

    def answer(self) -> Answer:
        """The data set has passed: what to tell the sender. Success means that the instance is durable."""
        if self._passage is not None:
            self._attempt(self._finish)
        answer = self._answer or STORED
        if answer.status != SUCCESS:
            self._entry.refused(f"{answer.status:04X}: {self._why or answer.comment}")
        return answer

    def close(self) -> None:
        """However the request ended, nothing unfinished stays; harmless when done twice."""
        if self._passage is not None:
            self._passage.close()
            self._passage = None
        if self._prepared is not None:
            self._prepared.close()
            self._prepared = None

    def _enter(self, desk: Desk, command: Command, context: Context) -> None:
        record = self._entry.record
        offer = Offer(
            sop_class_uid=command.uid(AFFECTED_SOP_CLASS_UID),
            sop_instance_uid=command.uid(AFFECTED_SOP_INSTANCE_UID),
            abstract_syntax_uid=context.abstract_syntax_uid,
            transfer_syntax_uid=context.transfer_syntax_uid,
            origin=Origin(
                calling_ae=record.calling_ae,
                called_ae=record.called_ae,
                address=record.address,
                association_id=record.id,
                peer=record.peer or "",
                received_at=desk.now(),
            ),
            refuse_conflict=desk.refuses_conflicts(record.peer),
        )
        if not command.has_data_set:
            raise Unreadable("the C-STORE request has no data set: send the instance again")
        self._passage = desk.door.enter(offer, self._prepared)
        self._prepared = None

    def _finish(self) -> None:
        if self._passage is not None:
            taken = self._passage.finish()
            self._entry.stored(taken.study_uid, taken.published.size_bytes)

    def _attempt(self, step: Callable[[], None]) -> None:
        record = self._entry.record
        try:
            step()
        except IntakeError as error:
            self._answer, self._why = answer_to(error), str(error)
            log.warning(
                "instance-refused",
                association=record.id,
                status=f"{self._answer.status:04X}",
                error=type(error).__name__,
                why=str(error),
            )
        except Exception:  # the edge: whatever goes wrong, the sender gets an answer and the operator an id
            fault_id = secrets.token_hex(4)
            log.exception("instance-fault", association=record.id, fault=fault_id)
            self._answer = our_fault(fault_id)
        if self._answer is not None:
            self.close()
