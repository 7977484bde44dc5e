"""How much room the disk had lately, so that it can be said when it will be full."""

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from node.core.filling import time_to_full

EVERY_S = 60.0
KEPT = 24 * 60
"""One a minute, for a day."""


@dataclass
class DiskRecord:
    """What was free at each look. free_mb: asks the operating system. reserve_mb: intake.disk_reserve_mb."""

    free_mb: Callable[[], int]
    total_mb: Callable[[], int]
    reserve_mb: int
    now: Callable[[], datetime]
    _looks: deque[tuple[datetime, float]] = field(default_factory=lambda: deque(maxlen=KEPT))
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def look(self) -> None:
        """Look once more; called once a minute."""
        with self._lock:
            self._looks.append((self.now(), float(self.free_mb())))

    def full_in(self) -> timedelta | None:
        """When less than the reserve will be left, as far as one can tell."""
        with self._lock:
            looks = list(self._looks)
        return time_to_full(looks, self.reserve_mb)
