"""Ends a process whose stage takes too long: a thread cannot be stopped from outside, a process can."""

import faulthandler
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType

EXIT_CODE = 70
"""EX_SOFTWARE of sysexits.h; the supervisor starts the process again."""
STANDARD_ERROR = 2
LAST_RESORT_S = 30.0
"""Native code that holds Python's lock lets no thread of Python run. So much later the process is ended without one,
and printed where each thread stood; the stage then counts as one in which the process died."""


class _LastResort:
    """One clock of the library's for all watchdogs of a process: for whichever is to bite next."""

    def __init__(self) -> None:
        self._changed = threading.Lock()
        self._ends: dict[int, float] = {}

    def set(self, of: object, end_s: float | None) -> None:
        """end_s: by the monotonic clock; None for one that waits for nothing now."""
        with self._changed:
            self._ends.pop(id(of), None)
            if end_s is not None:
                self._ends[id(of)] = end_s
            faulthandler.cancel_dump_traceback_later()
            if self._ends:
                left_s = max(min(self._ends.values()) - time.monotonic(), 0) + LAST_RESORT_S
                faulthandler.dump_traceback_later(left_s, exit=True, file=STANDARD_ERROR)


_LAST_RESORT = _LastResort()


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
        self._stop()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """For what is waited for: another stage has a watchdog of its own, and its time is not this one's."""
        self._stop()
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
        _LAST_RESORT.set(self, self._since + max(self._left_s, 0))

    def _stop(self) -> None:
        self._timer.cancel()
        _LAST_RESORT.set(self, None)

    def _bite(self) -> None:
        try:
            self._record(self._timeout_s)
        finally:
            os._exit(self._exit_code)
