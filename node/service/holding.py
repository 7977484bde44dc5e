"""Ends a process whose home's ledger a copy of that home has taken over, and says so."""

import threading
from collections.abc import Callable
from contextlib import suppress
from functools import wraps
from pathlib import Path
from typing import ParamSpec

import structlog

from node.errors import AlreadyRunning
from node.state.hold import Hold, check_tenure
from node.state.ledger import Ledger

log = structlog.get_logger()

KEEP_S = 2.0
"""So often the service looks whether it holds the ledger still."""
P = ParamSpec("P")


class Holding:
    """What a process asks before it does anything of the ledger's. stop: ends the process."""

    def __init__(self, ledger: Ledger, home: Path, stop: threading.Event) -> None:
        self._ledger, self._home, self._stop = ledger, home, stop
        self._lost: AlreadyRunning | None = None

    def only(self, body: Callable[P, None]) -> Callable[P, None]:
        """The same, but nothing where the ledger is ours no more: it raises then, and the process ends. Of what it was
        handed, whose ledger it is finds that nobody does it."""

        @wraps(body)
        def asked(*arguments: P.args, **named: P.kwargs) -> None:
            self._or_end(lambda: check_tenure(self._ledger, self._home))
            body(*arguments, **named)

        return asked

    def keep(self, hold: Hold) -> None:
        """Keep the service's hold, or end the process. Raises LedgerUnusable."""
        with suppress(AlreadyRunning):
            self._or_end(hold.keep)

    def raise_lost(self) -> None:
        """Raises AlreadyRunning where that was why the process came to its end."""
        if self._lost is not None:
            raise self._lost

    def _or_end(self, look: Callable[[], None]) -> None:
        try:
            look()
        except AlreadyRunning as error:
            if self._lost is None:
                log.error("ledger-lost", why=str(error))  # noqa: TRY400  the words say it; a traceback hides them
            self._lost = error
            self._stop.set()
            raise
