"""Which file was being read when the process died: a file that keeps doing so is read no more."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from node.errors import Unreadable
from node.state.disk import disk_faults

STRIKES = 3
"""So often a file may take the process down; a process that is killed by chance must not cost a file its reading."""


class Suspects:
    """A note in the home of what is read at this moment, and of how often that ended the process."""

    def __init__(self, home: Path) -> None:
        self._note = home / "run" / "reading"
        self._note.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._name, self._strikes = self._last()

    @contextmanager
    def reading(self, name: str) -> Iterator[None]:
        """Note that `name` is read. Raises Unreadable where reading it has ended the process too often, SpoolFull where
        there is no room for the note."""
        strikes = self._strikes if name == self._name else 0
        if strikes >= STRIKES:
            raise Unreadable(f"reading its header ended the process {strikes} times: it is kept, and read no more")
        with disk_faults():
            self._note.write_text(f"{strikes}\n{name}")
        try:
            yield
        finally:
            # Reached by every end but the process's own.
            self._note.write_text("")

    def _last(self) -> tuple[str, int]:
        """What was being read when the process died, and how often that has happened now."""
        if not self._note.exists():
            return "", 0
        strikes, _, name = self._note.read_text().partition("\n")
        return name, int(strikes) + 1 if name else 0
