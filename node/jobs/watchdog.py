"""Ends a process whose stage takes too long: a thread cannot be stopped from outside, a process can."""

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType

EXIT_CODE = 70
"""EX_SOFTWARE of sysexits.h; the supervisor starts the process again."""


class Watchdog:
    """Runs `record` and ends the process with `exit_code` unless the block is left within `timeout_s`, which count
    but while it is paused."""

    def __init__(self, timeout_s: float, record: Callable[[float], None], exit_code: int = EXIT_CODE) -> None:
        self._timeout_s, self._record, self._exit_code = timeout_s, record, exit_code
        self._left_s = timeout_s

    def __enter__(self) -> None:
        self._go_on()

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._timer.cancel()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """For what is waited for: another stage has a watchdog of its own, and its time is not this one's."""
        self._timer.cancel()
        self._left_s -= time.monotonic() - self._since
        try:
            yield
        finally:
            self._go_on()

    def _go_on(self) -> None:
        self._since = time.monotonic()
        self._timer = threading.Timer(max(self._left_s, 0), self._bite)
        self._timer.daemon = True
        self._timer.start()

    def _bite(self) -> None:
        try:
            self._record(self._timeout_s)
        finally:
            os._exit(self._exit_code)
