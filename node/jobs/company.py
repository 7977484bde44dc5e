"""Lets stages of one process run beside each other, or one of them alone."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Company:
    """Whose process died may have been innocent: another stage that ran beside it ended both. Alone, none is."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._running = 0
        self._waiting_alone = 0

    @contextmanager
    def beside(self) -> Iterator[None]:
        """Beside others; waits while one is alone, or waits to be."""
        with self._changed:
            self._changed.wait_for(lambda: not self._waiting_alone)
            self._running += 1
        try:
            yield
        finally:
            self._end()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Once all others have ended; no other begins meanwhile."""
        with self._changed:
            self._waiting_alone += 1
            self._changed.wait_for(lambda: not self._running)
            self._running += 1
        try:
            yield
        finally:
            with self._changed:
                self._waiting_alone -= 1
            self._end()

    def _end(self) -> None:
        with self._changed:
            self._running -= 1
            self._changed.notify_all()
