"""Keeps in the home what was seen of the clock, so that a leap is known also where the node was off meanwhile."""

import json
import threading
from datetime import datetime
from pathlib import Path

import structlog

from node.core.clock_step import Steady
from node.state.replaced import replace_text

log = structlog.get_logger()

NAME = "clock-seen"


class SteadyFile:
    """May be asked from any thread."""

    def __init__(self, home: Path) -> None:
        self._file, self._lock = home / NAME, threading.Lock()
        self._seen = self._read()

    def look(self, now: datetime) -> datetime:
        """Since when the clock has not leapt ahead; what was seen is kept."""
        with self._lock:
            before = self._seen or Steady(now)
            self._seen = before.at(now)
            if self._seen.since > before.since:
                log.warning("clock-leapt", last_looked_at=before.looked_at.isoformat())
            told = {"looked_at": self._seen.looked_at.isoformat(), "since": self._seen.since.isoformat()}
            try:
                replace_text(self._file, json.dumps(told))
            except OSError as error:  # of a full disk; it is kept at the next look
                log.warning("clock-not-kept", why=error.strerror)
            return self._seen.since

    def _read(self) -> Steady | None:
        """None where nobody has looked yet."""
        try:
            told = json.loads(self._file.read_text())
            return Steady(datetime.fromisoformat(told["looked_at"]), datetime.fromisoformat(told["since"]))
        except (OSError, ValueError, KeyError):
            return None
