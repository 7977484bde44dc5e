"""What the service process says of the node: each of its parts, and whether all of them together work."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from datetime import datetime
from pathlib import Path

from node.admin.health import Health
from node.core.parts import Kind, Thing, parts_of, why_not_ready
from node.errors import LedgerUnusable
from node.service.state import running_processes, running_supervisors
from node.state.heartbeats import pulses
from node.state.ledger import Ledger

LOOK_S = 5.0
"""So often the parts are looked at, whoever asks: since when one is as it is should be known."""
ANSWER_S = 2.0
"""Who asks waits no longer for the ledger, whose database may take far longer to be given up: whoever watches the node
takes a silent one for dead."""
DATABASES = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}
Answer = tuple[str, dict[str, datetime]]
"""Why the ledger cannot be read, or an empty text; and executors that give no sign of life, with their last one."""


class Parts:
    """Looks at each part whenever it is asked; since when disk and database are as they are, it has seen itself."""

    def __init__(
        self, ledger: Ledger, home: Path, free_mb: Callable[[], int], reserve_mb: int, now: Callable[[], datetime]
    ) -> None:
        """free_mb: room for the spool. reserve_mb: intake.disk_reserve_mb."""
        self._ledger, self._home, self._free_mb, self._reserve_mb, self._now = ledger, home, free_mb, reserve_mb, now
        self._turned: dict[Kind, tuple[bool, datetime]] = {}
        self._asking: Future[Answer] | None = None
        self._lock = threading.Lock()

    def look(self) -> Health:
        """How each is now."""
        processes = (*running_supervisors(self._home), *running_processes(self._home))
        database, silent = self._database()
        free_mb = self._free_mb()
        parts = parts_of(processes, silent, (self._disk(free_mb), database))
        why = why_not_ready(parts)
        return Health(not why, why, parts, free_mb)

    def _database(self) -> tuple[Thing, dict[str, datetime]]:
        """The ledger, and what it tells of processes that give no sign of life."""
        begin = time.monotonic()
        try:
            unread, silent = self._asked().result(ANSWER_S)
        except TimeoutError:
            unread = f"the ledger does not answer within {ANSWER_S:g} s: look at its database, and at the way there"
            silent = {}
        words = f"{DATABASES[self._ledger.engine.dialect.name]}, answered in {1000 * (time.monotonic() - begin):.0f} ms"
        return self._thing(Kind.DATABASE, unread or self._ledger.fault, words), silent

    def _asked(self) -> Future[Answer]:
        """A question to the ledger: the one that it has not answered yet, where there is one."""
        with self._lock:
            if self._asking is None or self._asking.done():
                self._asking = Future()
                threading.Thread(target=self._ask, args=(self._asking,), name="ledger-asked", daemon=True).start()
            return self._asking

    def _ask(self, asking: Future[Answer]) -> None:
        answer: Answer = ("the ledger could not be asked: the log says why", {})
        try:
            with self._ledger.read() as connection:
                answer = "", {one.executor: one.beat_at for one in pulses(connection) if one.is_taken_for_dead}
        except LedgerUnusable as error:
            answer = str(error), {}
        finally:
            asking.set_result(answer)

    def _disk(self, free_mb: int) -> Thing:
        is_full = free_mb <= self._reserve_mb
        full = f"only {free_mb} MB of disk are free, less than intake.disk_reserve_mb ({self._reserve_mb}): make room"
        return self._thing(Kind.DISK, full if is_full else "", f"{free_mb / 1024:.1f} GB are free for studies")

    def _thing(self, kind: Kind, fault: str, words: str) -> Thing:
        was = self._turned.get(kind)
        if was is None or was[0] != bool(fault):
            self._turned[kind] = was = (bool(fault), self._now())
        return Thing(kind, fault, was[1], words)
