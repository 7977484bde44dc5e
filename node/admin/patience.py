"""How often a sign-in may fail: after a few failures for one name or from one address, everybody waits a while."""

import threading
from collections import deque
from dataclasses import dataclass, field

FAILURES = 5
"""So many within PERIOD_S for one name or one address; the next has to wait."""
PERIOD_S = 15 * 60.0
MOST_KEYS = 10_000


@dataclass
class Patience:
    """Counts failures in memory: a node that was started anew has forgotten them, and its users sign in."""

    _failures: dict[str, deque[float]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def begin(self, name: str, address: str, now_s: float) -> float:
        """Seconds until a try is looked at. 0: this one is, and counts as a failure until it has succeeded, so that
        others that come while it is looked at do not pass."""
        keys = _keys(name, address)
        with self._lock:
            wait_s = max(self._wait_s(key, now_s) for key in keys)
            if wait_s > 0:
                return wait_s
            if len(self._failures) > MOST_KEYS:
                self._failures = {key: times for key, times in self._failures.items() if now_s - times[-1] < PERIOD_S}
            for key in keys:
                self._failures.setdefault(key, deque(maxlen=FAILURES)).append(now_s)
        return 0.0

    def succeeded(self, name: str, address: str) -> None:
        """Forget the failures of a name whose user signed in, and of the address this one try alone."""
        of_name, of_address = _keys(name, address)
        with self._lock:
            self._failures.pop(of_name, None)
            times = self._failures.get(of_address)
            if times:
                times.pop()
            if not times:
                self._failures.pop(of_address, None)

    def _wait_s(self, key: str, now_s: float) -> float:
        times = self._failures.get(key)
        if times is None or len(times) < FAILURES:
            return 0.0
        return max(0.0, times[0] + PERIOD_S - now_s)


def _keys(name: str, address: str) -> tuple[str, str]:
    return f"name {name.casefold()}", f"address {address}"
