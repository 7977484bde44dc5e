"""Appends to a file past the system's cache, from memory that is used again and again."""

import errno
import fcntl
import mmap
import os
from contextlib import suppress
from typing import Final

BLOCK_BYTES: Final = 4096
"""What a disk takes at once: places and lengths of direct writes are multiples of it."""
BUFFER_BYTES: Final = 1 << 18
_KEPT_BUFFERS: Final = 64
_idle: list[mmap.mmap] = []
"""Buffers that nobody writes from. New memory is the dearest part of a copy, so that it is kept."""

Bytes = bytes | bytearray | memoryview


class DirectWriter:
    """Gathers what is appended to an empty file, and writes it in large pieces; `finish` writes the rest.

    A file that fits into one piece, or a file system without direct writes, gets ordinary ones. Use it from one
    thread; each method raises what the operating system says. The descriptor stays the caller's, who opened it
    without status flags (O_APPEND and the like).
    """

    def __init__(self, file: int) -> None:
        self._file = file
        self._buffer = _idle.pop() if _idle else mmap.mmap(-1, BUFFER_BYTES)
        self._have = 0
        self._is_begun = self._is_direct = False

    def write(self, content: Bytes) -> None:
        """Append bytes; they may stay here until `finish`."""
        place, size = 0, len(content)
        while place < size:
            step = min(size - place, BUFFER_BYTES - self._have)
            self._buffer[self._have : self._have + step] = content[place : place + step]
            self._have += step
            place += step
            if self._have == BUFFER_BYTES:
                if not self._is_begun:
                    self._begin_directly()
                self._write_out(0, BUFFER_BYTES)
                self._have = 0

    def finish(self) -> None:
        """Write what is left, and let the descriptor be an ordinary one again."""
        whole = self._have // BLOCK_BYTES * BLOCK_BYTES if self._is_direct else 0
        self._write_out(0, whole)
        self._go_on_ordinarily()
        self._write_out(whole, self._have)
        self._have = 0

    def close(self) -> None:
        """Give the buffer back; nothing may be written afterwards."""
        if len(_idle) < _KEPT_BUFFERS:
            _idle.append(self._buffer)

    def _write_out(self, start: int, end: int) -> None:
        """Write a part of the buffer, all of it: near the end of a disk the system takes less, and then says why."""
        with memoryview(self._buffer) as view:
            while start < end:
                try:
                    start += os.write(self._file, view[start:end])
                except OSError as error:
                    if not self._is_direct or error.errno != errno.EINVAL:
                        raise
                    self._go_on_ordinarily()
                if start % BLOCK_BYTES:
                    self._go_on_ordinarily()

    def _begin_directly(self) -> None:
        """Where the file system can."""
        self._is_begun = True
        with suppress(OSError):
            fcntl.fcntl(self._file, fcntl.F_SETFL, os.O_DIRECT)
            self._is_direct = True

    def _go_on_ordinarily(self) -> None:
        if self._is_direct:
            fcntl.fcntl(self._file, fcntl.F_SETFL, 0)
            self._is_direct = False
