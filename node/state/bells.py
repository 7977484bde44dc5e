"""Bells between the processes of a host: who enqueues rings those of the queue, who works from it looks at once."""

import os
from contextlib import suppress
from pathlib import Path

from node.state.wake import Wake


class Bells:
    """A named pipe for each process and queue of a home, `run/bells/QUEUE+EXECUTOR`."""

    def __init__(self, home: Path) -> None:
        self._folder = home / "run" / "bells"

    def hang(self, queue: str, executor: str) -> Wake:
        """The bell of one process for one queue; the caller closes it."""
        return Wake(self._folder / f"{queue}+{executor}")

    def ring(self, queue: str) -> None:
        """Wake every process of this host that works from the queue; never blocks.

        A ring may be lost: where a process does not run, where its pipe is full, or is another user's. Each looks by
        itself now and then, which is also the only way for other hosts.
        """
        for path in self._folder.glob(f"{queue}+*"):
            with suppress(OSError):
                pipe = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
                try:
                    os.write(pipe, b"\0")
                finally:
                    os.close(pipe)
