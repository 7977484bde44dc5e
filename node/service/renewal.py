"""Notices that what a process works by was replaced: it takes that over, or ends to be started again with it."""

import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import structlog

from node.configuration import read_configuration
from node.errors import ConfigurationInvalid
from node.settings import Configuration

log = structlog.get_logger()

LOOK_EVERY_S = 1.0
READ_BY = {
    "receiver": ("peers.toml",),
    "service": ("peers.toml", "routes.toml"),
    "worker": ("peers.toml",),
    "model": ("peers.toml",),
}
"""Which files each role works by; node.toml holds from start to start."""


class Watch:
    """Some files of the configuration folder; what is not valid is told in the log, and the one before stays in use."""

    def __init__(
        self, folder: Path, names: Sequence[str | Path], judge: Callable[[Configuration], None] | None = None
    ) -> None:
        """names: in the folder, or whole paths. judge: raises ConfigurationInvalid where the process could not start
        with what was found."""
        self._folder, self._names, self._judge = folder, tuple(names), judge
        self._stamp = self._stamped()

    def changed(self) -> Configuration | None:
        """The configuration, where one of the files was replaced since the last look and all of it is valid."""
        stamp = self._stamped()
        if stamp == self._stamp:
            return None
        self._stamp = stamp
        try:
            found = read_configuration(self._folder)
            if self._judge is not None:
                self._judge(found)
        except ConfigurationInvalid as error:
            log.warning("configuration-unusable", why=f"{error}; the one before stays in use")
            return None
        return found

    def _stamped(self) -> tuple[tuple[int, int], ...]:
        return tuple(_stamp_of(self._folder / name) for name in self._names)


def _stamp_of(path: Path) -> tuple[int, int]:
    try:
        status = path.stat()
    except OSError:
        return 0, 0
    return status.st_mtime_ns, status.st_ino


def end_when_replaced(watch: Watch, renewing: Callable[[], None], stop: threading.Event) -> None:
    """Set `stop` once another valid configuration lies there, after saying so; returns at once, and watches beside.

    What the process is doing is finished as at any stop, and whatever is not finished is taken up again.
    """

    def look() -> None:
        while not stop.wait(LOOK_EVERY_S):
            if watch.changed() is not None:
                log.info("configuration-replaced")
                renewing()
                stop.set()

    threading.Thread(target=look, name="configuration-watch", daemon=True).start()
