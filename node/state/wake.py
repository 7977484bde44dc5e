"""A bell between processes: who publishes an instance rings it, who indexes waits on it."""

import contextlib
import errno
import os
import select
from pathlib import Path


class Wake:
    """A named pipe that carries no meaning but "look now". Losing a ring is harmless: waiting has a time-out."""

    def __init__(self, home: Path) -> None:
        path = home / "run" / "wake"
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

    def wait(self, timeout_s: float) -> None:
        """Return when the bell was rung, or after `timeout_s`; all rings so far are taken as one."""
        ready, _, _ = select.select([self._pipe], [], [], timeout_s)
        if ready:
            os.read(self._pipe, 65536)

    def close(self) -> None:
        os.close(self._pipe)
