"""What all who look are shown alike, looked up once for them."""

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

FRESH_S = 1.5
"""How old what is shown may be."""
Seen = TypeVar("Seen")


class Shared(Generic[Seen]):
    """Looks at most once in so many seconds, however many ask. What it sees must be the same for everybody."""

    def __init__(self, look: Callable[[], Seen], fresh_s: float = FRESH_S) -> None:
        self._look, self._fresh_s, self._lock = look, fresh_s, threading.Lock()
        self._last: tuple[float, Seen] | None = None

    def now(self, *, anew: bool = False) -> Seen:
        """What is, at most that long ago. anew: at this moment, for who has just changed it."""
        with self._lock:
            if anew or self._last is None or time.monotonic() - self._last[0] > self._fresh_s:
                self._last = (time.monotonic(), self._look())
            return self._last[1]
