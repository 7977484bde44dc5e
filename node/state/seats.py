"""Places for connections that all receivers of a home share, and the service for STOW-RS: counted in memory."""

import fcntl
import hashlib
import mmap
import os
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from node.errors import AlreadyRunning

PROCESSES = 17
"""As many may share the places: 16 receivers (node.receivers), and the service."""
PLACES = 2047
"""Of each of them."""
_WORD = struct.Struct("<Q")
_REGION_BYTES = (1 + PLACES) * _WORD.size
"""A region: how many of its places are in use at most, then the places. A place: zero, or who sits there."""


@dataclass(frozen=True)
class Caps:
    """How many may be there at the same time. connections, per address: also those that asked for nothing yet."""

    associations: int
    associations_per_address: int

    @property
    def connections(self) -> int:
        return 2 * self.associations

    @property
    def connections_per_address(self) -> int:
        return 2 * self.associations_per_address


class Full(str, Enum):
    """Which cap is reached."""

    ALL = "too many associations are open: lower the senders' parallel associations, or raise intake.associations"
    ADDRESS = (
        "too many associations are open from this address: lower the sender's parallel associations, "
        "or raise intake.associations_per_address"
    )


class Seats:
    """One receiver's view of the places. Any number of its threads may use it.

    Each receiver writes in a region of its own and reads all of them. A receiver that was killed keeps nothing: its
    lock falls, and whoever finds the places full clears the regions of the dead before saying so.
    """

    def __init__(self, home: Path, caps: Caps) -> None:
        self._caps = caps
        self._folder = home / "run"
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._file = os.open(self._folder / "seats", os.O_RDWR | os.O_CREAT, 0o600)
        os.ftruncate(self._file, PROCESSES * _REGION_BYTES)
        self._map = mmap.mmap(self._file, PROCESSES * _REGION_BYTES)
        self._words = memoryview(self._map).cast("Q")
        self._lock = threading.Lock()
        self._alive, self._number = self._sit_down()
        with self._held():
            self._clear(self._number)

    def connect(self, address: str) -> "Seat | Full":
        """A place for a connection."""
        return self._take(_who(address), self._caps.connections, self._caps.connections_per_address)

    def associate(self, address: str) -> "Seat | Full":
        """A place for who is an association at once: a STOW-RS request."""
        return self._take(_who(address) | 1, self._caps.associations, self._caps.associations_per_address)

    def promote(self, seat: "Seat") -> Full | None:
        """The connection becomes an association; or which cap forbids it."""
        with self._held():
            who = self._words[seat.place] | 1
            full = self._full(who, self._caps.associations, self._caps.associations_per_address)
            if full is None:
                self._words[seat.place] = who
            return full

    def leave(self, seat: "Seat") -> None:
        """The place is free again."""
        with self._held():
            first = self._first(self._number)
            self._words[seat.place] = 0
            used = self._words[first - 1]
            while used and not self._words[first + used - 1]:
                used -= 1
            self._words[first - 1] = used

    def count(self) -> int:
        """Connections of all receivers."""
        with self._held():
            return sum(1 for word in self._all() if word)

    def close(self) -> None:
        """The receiver ends; harmless when done twice."""
        if self._alive >= 0:
            with self._held():
                self._clear(self._number)
            os.close(self._alive)
            self._alive = -1
            self._words.release()
            self._map.close()
            os.close(self._file)

    def _take(self, who: int, most: int, most_per_address: int) -> "Seat | Full":
        with self._held():
            full = self._full(who, most, most_per_address)
            if full is not None:
                return full
            first = self._first(self._number)
            used = self._words[first - 1]
            free = next((n for n in range(used) if not self._words[first + n]), used)
            if free >= PLACES:
                return Full.ALL
            self._words[first + free] = who
            self._words[first - 1] = max(used, free + 1)
            return Seat(first + free)

    def _full(self, who: int, most: int, most_per_address: int) -> Full | None:
        """Which cap is reached, the places of dead receivers aside."""
        full = self._reached(who, most, most_per_address)
        if full is not None and self._clear_dead():
            full = self._reached(who, most, most_per_address)
        return full

    def _reached(self, who: int, most: int, most_per_address: int) -> Full | None:
        # An association's number is odd; it counts as a connection too.
        words = [word for word in self._all() if word & 1] if who & 1 else [word for word in self._all() if word]
        if len(words) >= most:
            return Full.ALL
        if words.count(who) + (0 if who & 1 else words.count(who | 1)) >= most_per_address:
            return Full.ADDRESS
        return None

    def _all(self) -> Iterator[int]:
        for number in range(PROCESSES):
            first = self._first(number)
            used = self._words[first - 1]
            if used:
                yield from self._words[first : first + min(used, PLACES)].tolist()

    def _first(self, number: int) -> int:
        return number * (1 + PLACES) + 1

    def _clear(self, number: int) -> None:
        start = number * _REGION_BYTES
        self._map[start : start + _REGION_BYTES] = bytes(_REGION_BYTES)

    def _clear_dead(self) -> bool:
        cleared = False
        for number in range(PROCESSES):
            if number == self._number or not self._words[self._first(number) - 1]:
                continue
            mark = self._try_lock(number)
            if mark is not None:
                self._clear(number)
                os.close(mark)
                cleared = True
        return cleared

    def _sit_down(self) -> tuple[int, int]:
        """Take the first number that no living receiver has."""
        for number in range(PROCESSES):
            mark = self._try_lock(number)
            if mark is not None:
                return mark, number
        raise AlreadyRunning(f"{PROCESSES} processes receive in {self._folder.parent} already: lower node.receivers")

    def _try_lock(self, number: int) -> int | None:
        """The open mark of a receiver, locked; None where a living process has it, however the last one died."""
        mark = os.open(self._folder / f"receiver-{number}", os.O_RDWR | os.O_CREAT, 0o600)
        with suppress(BlockingIOError):
            fcntl.flock(mark, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return mark
        os.close(mark)
        return None

    @contextmanager
    def _held(self) -> Iterator[None]:
        with self._lock:
            fcntl.flock(self._file, fcntl.LOCK_EX)
            try:
                yield
            finally:
                fcntl.flock(self._file, fcntl.LOCK_UN)


@dataclass(frozen=True)
class Seat:
    """A place that is taken."""

    place: int


def _who(address: str) -> int:
    """A number for an address, even and never zero; the lowest bit says whether it has an association."""
    return int.from_bytes(hashlib.blake2b(address.encode(), digest_size=7).digest(), "little") << 1 | 1 << 57
