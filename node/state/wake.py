"""A bell between processes: whoever has made work rings it, whoever does it waits on it."""

import contextlib
import errno
import os
import select
from pathlib import Path

ARRIVED = "run/wake"
"""In a home: rung by who publishes an instance, for who indexes it."""


class Wake:
    """A named pipe that carries no meaning but "look now". Losing a ring is harmless: waiting has a time-out."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            os.mkfifo(path, 0o600)
        # Open for both directions: neither side then depends on the other being there.
        self._pipe = os.open(path, os.O_RDWR | os.O_NONBLOCK)

    def ring(self) -> None:
        """Wake whoever waits; never blocks."""
        try:
            os.write(self._pipe, b"\0")
        except OSError as error:
            if error.errno != errno.EAGAIN:  # full: somebody will look anyway
                raise

    def wait(self, timeout_s: float) -> bool:
        """Whether the bell was rung within `timeout_s`; returns when it is. All rings so far are taken as one."""
        ready, _, _ = select.select([self._pipe], [], [], timeout_s)
        if ready:
            os.read(self._pipe, 65536)
        return bool(ready)

    def close(self) -> None:
        os.close(self._pipe)
