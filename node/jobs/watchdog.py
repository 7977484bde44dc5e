"""Ends a process whose stage takes too long: a thread cannot be stopped from outside, a process can."""

import os
import threading
from collections.abc import Callable
from types import TracebackType

EXIT_CODE = 70
"""EX_SOFTWARE of sysexits.h; the supervisor starts the process again."""


class Watchdog:
    """Runs `record` and ends the process with `exit_code` unless the block is left within `timeout_s`."""

    def __init__(self, timeout_s: float, record: Callable[[float], None], exit_code: int = EXIT_CODE) -> None:
        self._timer = threading.Timer(timeout_s, self._bite, (timeout_s, record, exit_code))
        self._timer.daemon = True

    def __enter__(self) -> None:
        self._timer.start()

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._timer.cancel()

    @staticmethod
    def _bite(timeout_s: float, record: Callable[[float], None], exit_code: int) -> None:
        try:
            record(timeout_s)
        finally:
            os._exit(exit_code)
