"""Asks destinations once a day what they take, where the form of their results depends on it."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

import structlog

from node.core.forms import LABEL_MAP
from node.sending.destination import Destination
from node.sending.dimse import DimseSender
from node.state import taken
from node.state.ledger import Ledger

log = structlog.get_logger()

LOOK_S = 60
ASK_AGAIN = timedelta(days=1)


class Survey:
    """destinations: those to ask, by name. One that cannot be reached is asked again at the next look."""

    def __init__(self, ledger: Ledger, destinations: Mapping[str, Destination], clock: Callable[[], datetime]) -> None:
        self._ledger, self._destinations, self._clock = ledger, destinations, clock

    def look(self) -> None:
        """Ask whoever was not asked for a day. Nothing is sent: the answers are those to an association request."""
        for name, destination in self._destinations.items():
            with self._ledger.read() as connection:
                asked_at = taken.asked_at(connection, name, LABEL_MAP)
            if asked_at is not None and self._clock() - asked_at < ASK_AGAIN:
                continue
            report = DimseSender().probe(destination, [LABEL_MAP])
            if not report.ok:
                continue
            classes = {uid: bool(syntaxes) for uid, syntaxes in report.accepted}
            with self._ledger.write() as connection:
                taken.record_taken(connection, name, classes, self._clock())
            log.info("destination-asked", destination=name, label_maps=classes[LABEL_MAP])
