"""An instance that is being written: a file aside, which nobody else takes for one that was received."""

import fcntl
import os
import secrets
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Self

from node.state.direct import Bytes, DirectWriter
from node.state.disk import disk_faults
from node.state.file_meta import SpoolMeta, encode_meta, skip_meta

SYNC_EVERY_BYTES = 1 << 26
"""A large instance goes to the disk on its way, so that its sender does not wait for all of it at the end."""
CHUNK_BYTES = 1 << 20
_PROCESS, _NUMBERS = secrets.token_hex(8), count()
"""Random names: chance is asked once per process; to ask the system for every instance costs more than a write."""


@dataclass(frozen=True)
class Aside:
    """An empty file under a random name, held locked: so a node that starts meanwhile sees that it is in use."""

    path: str
    file: int

    @classmethod
    def make(cls, folder: str) -> "Aside":
        """Raises what the operating system says."""
        while True:
            path = f"{folder}/{_PROCESS}{next(_NUMBERS):x}.part"
            file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            fcntl.flock(file, fcntl.LOCK_EX)
            if os.fstat(file).st_nlink:
                return cls(path, file)
            os.close(file)  # a start cleared it away before it was locked

    def close(self) -> None:
        """Remove the random name; where the file was published, it lives on under its own."""
        with suppress(OSError):
            os.unlink(self.path)  # noqa: PTH108  on the way of every instance, where pathlib costs more than the call
        os.close(self.file)


class Draft:
    """An instance from its first byte to its publication. size_bytes: of the data set, file meta aside.

    Use it from one thread. `write` and `seal` raise SpoolFull where there is no room or the disk fails.
    """

    def __init__(
        self,
        aside: Aside,
        meta: SpoolMeta,
        sync: Callable[[int], None],
        writer: Callable[[int], DirectWriter] = DirectWriter,
    ) -> None:
        self.meta = meta
        self.size_bytes = 0
        self._sync = sync
        self._unsynced = 0
        self._aside: Aside | None = aside
        self._file = aside.file
        self.path = aside.path
        head = encode_meta(meta)
        self._offset = len(head)
        self._writer = writer(aside.file)
        self._writer.write(head)

    def write(self, chunk: Bytes) -> None:
        """Append bytes of the data set."""
        with disk_faults():
            self._writer.write(chunk)
            self.size_bytes += len(chunk)
            self._unsynced += len(chunk)
            if self._unsynced >= SYNC_EVERY_BYTES:
                self._unsynced = 0
                self._sync(self._file)

    def seal(self) -> None:
        """The data set is whole: make it durable."""
        with disk_faults():
            self._writer.finish()
            self._sync(self._file)

    def is_data_set_of(self, path: Path) -> bool:
        """Whether a file holds the very same data set, by the bytes themselves."""
        with path.open("rb") as file:
            theirs = skip_meta(file)
            if os.fstat(file.fileno()).st_size - theirs != self.size_bytes:
                return False
            ours = self._offset
            while chunk := file.read(CHUNK_BYTES):
                if os.pread(self._file, len(chunk), ours) != chunk:
                    return False
                ours += len(chunk)
        return True

    def close(self) -> None:
        """What was not published is gone; harmless when done twice."""
        if self._aside is not None:
            self._writer.close()
            self._aside.close()
            self._aside = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
