"""Answers peers that ask for storage commitment: every file is read again and compared with what was received."""

from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path

import structlog

from node.errors import Unreadable
from node.state import pledges
from node.state.associations import Associations
from node.state.digests import data_set_sha256
from node.state.ledger import Ledger
from node.state.mailbox import AnswerLetter, Mailbox, RequestLetter, Sender
from node.state.pledges import Kept, Pledge
from node.state.spool import Spool
from node.state.transaction import Reference

log = structlog.get_logger()

PLEDGED, PROCESSING_FAILURE, NO_SUCH_INSTANCE, CLASS_CONFLICT = 0x0000, 0x0110, 0x0112, 0x0119
"""Outcomes of an instance: committed, or a Failure Reason (PS3.3 section C.14.1.1)."""


class Pledging:
    """Requests that receivers posted become pledges; whose association is still open is told there."""

    def __init__(
        self, ledger: Ledger, spool: Spool, home: Path, archives: Mapping[str, str], clock: Callable[[], datetime]
    ) -> None:
        """archives: the archive of each peer that may ask, by its name."""
        self._ledger, self._spool, self._home, self._archives, self._clock = ledger, spool, home, archives, clock
        self._requests, self._answers = Mailbox(home, RequestLetter), Mailbox(home, AnswerLetter)
        self._associations = Associations(home)

    def look(self) -> None:
        """Take requests in, answer what can be answered, and see who was told. Again changes nothing."""
        for path, letter in self._requests.letters():
            with self._ledger.write() as connection:
                pledges.add(connection, letter)
            path.unlink(missing_ok=True)
        with self._ledger.read() as connection:
            untold = pledges.untold(connection)
        for pledge in untold:
            if pledge.outcomes is None:
                self._answer(pledge)
            elif pledge.next_at is None:
                self._see_told(pledge)

    def _answer(self, pledge: Pledge) -> None:
        arriving = {one.path.stem.partition("~")[0] for one in self._spool.arrivals()}
        if any(one.sop_uid in arriving for one in pledge.references):
            return  # acknowledged, and not in the ledger yet: a moment later
        archive = self._archives.get(pledge.peer, "")
        outcomes = {one.sop_uid: self._outcome(one) if archive else PROCESSING_FAILURE for one in pledge.references}
        is_open = self._is_open(pledge)
        with self._ledger.write() as connection:
            for uid in (uid for uid, outcome in outcomes.items() if outcome == PLEDGED):
                if not pledges.kept(connection, uid):  # retention was faster
                    outcomes[uid] = NO_SUCH_INSTANCE
            if is_open:
                sender = Sender(pledge.peer, "", pledge.called_ae, pledge.association_id, self._clock())
                letter = AnswerLetter(sender, pledge.transaction_uid, pledge.references, outcomes)
                self._answers.post(letter, _name(pledge))
            pledges.record_outcomes(connection, pledge, outcomes, archive, None if is_open else self._clock())
        failed = sum(outcome != PLEDGED for outcome in outcomes.values())
        log.info("storage-pledged", peer=pledge.peer, instances=len(outcomes) - failed, failed=failed)

    def _see_told(self, pledge: Pledge) -> None:
        """The receiver removes the answer once the peer has heard it; where the association ended, it is called."""
        answer = self._answers.path(_name(pledge))
        if answer.exists() and self._is_open(pledge):
            return
        with self._ledger.write() as connection:
            if answer.exists():
                pledges.record_not_told(connection, pledge, self._clock())
            else:
                pledges.record_told(connection, pledge, self._clock())
        answer.unlink(missing_ok=True)

    def _is_open(self, pledge: Pledge) -> bool:
        return any(one.id == pledge.association_id and one.is_open for one in self._associations.records())

    def _outcome(self, reference: Reference) -> int:
        with self._ledger.read() as connection:
            files = pledges.kept(connection, reference.sop_uid)
        if not files:
            return NO_SUCH_INSTANCE
        if any(one.sop_class_uid != reference.sop_class_uid for one in files):
            return CLASS_CONFLICT
        return PLEDGED if all(map(self._is_sound, files)) else PROCESSING_FAILURE

    def _is_sound(self, file: Kept) -> bool:
        """Whether the file holds what was received."""
        try:
            is_sound = data_set_sha256(self._home / file.path) == file.sha256
        except (OSError, Unreadable):
            is_sound = False
        if not is_sound:
            log.error("file-changed", path=file.path, why="it is not what was received: look at the disk")
        return is_sound


def _name(pledge: Pledge) -> str:
    """Of the answer's file: the receiver finds those of an association by it."""
    return f"{pledge.association_id}+{pledge.transaction_uid}"
