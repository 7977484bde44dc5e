"""One connection in its own thread: from its first byte to its close, whatever comes."""

from node.core.admission import Caller
from node.intake import pdu
from node.intake.advice import Cause
from node.intake.association import Association
from node.intake.desk import Desk
from node.intake.opening import TurnedAway, open_association
from node.intake.pdu import AbortSource, Breach
from node.intake.wire import Ended, Wire
from node.state.associations import AssociationOutcome
from node.state.seats import Seat

TOLD = frozenset({Cause.TLS, Cause.TLS_SLOW, Cause.STALLED})
"""Ends that are told though nobody knows who it was; others came and went, as who looks whether a port is open does."""


class Connection:
    """A peer that connected. `run` is its thread; `give_up` alone is for other threads."""

    def __init__(self, wire: Wire, desk: Desk, seat: Seat, address: str) -> None:
        self._wire, self._desk, self._seat, self._address = wire, desk, seat, address
        self._given_up = ""

    def run(self) -> None:
        """Serve until the end; nothing of it stays, however it ends."""
        last_word = b""
        try:
            opened = open_association(self._wire, self._desk, self._seat, self._address)
            last_word = Association(self._wire, self._desk, opened).serve(lambda: self._given_up)
        except TurnedAway as turned:
            last_word = turned.last_word
        except Breach as breach:
            self._tell(str(breach))
            last_word = pdu.abort(AbortSource.SERVICE_PROVIDER, breach.reason)
        except Ended as ended:
            if ended.cause in TOLD:
                self._tell(str(ended))
        finally:
            self._wire.close(last_word)
            self._desk.seats.leave(self._seat)

    def _tell(self, why: str) -> None:
        """It broke off before it said who it is."""
        self._desk.journal.rejected(Caller("", "", self._address), why, AssociationOutcome.ABORTED)

    def give_up(self, why: str) -> None:
        """Abort as soon as what is being done is done."""
        self._given_up = self._given_up or why
        self._wire.interrupt()
