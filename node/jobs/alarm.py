"""Waits that end early when there may be work: a bell was rung, or this process has just become free."""

import threading
from collections.abc import Sequence

from node.state.wake import Wake

LONGEST_S = 60.0
"""Longer waits are not for work."""
FREE_AFTER_S = (0.05, 0.25)
"""The engine counts a piece of work as running until it has noted its end: it is no use to look before."""
STOP_LOOKED_FOR_S = 60.0


class Alarm:
    """The waiting of a process's threads, which bells cut short."""

    def __init__(self, bells: Sequence[Wake]) -> None:
        self._bells = bells
        self._changed = threading.Condition()
        self._rings = 0
        self._seen = threading.local()
        self._is_stopped = False
        self._listeners = [threading.Thread(target=self._listen, args=(bell,), daemon=True) for bell in bells]

    def start(self) -> None:
        """Begin to listen to the bells."""
        for one in self._listeners:
            one.start()

    def wait(self, stop: threading.Event, timeout: float | None = None) -> bool:
        """As `stop.wait` does, but also early, with False, where the calling thread should look; in seconds."""
        if timeout is None or timeout > LONGEST_S:
            return threading.Event.wait(stop, timeout)  # its own `wait` may be this one
        with self._changed:
            seen = getattr(self._seen, "rings", self._rings)
            self._changed.wait_for(lambda: stop.is_set() or self._rings != seen, timeout)
            self._seen.rings = self._rings
        return stop.is_set()

    def ring(self) -> None:
        """Let every thread that waits look now."""
        with self._changed:
            self._rings += 1
            self._changed.notify_all()

    def free(self) -> None:
        """A piece of work ends here: soon there is room for the next."""
        for after_s in FREE_AFTER_S:
            timer = threading.Timer(after_s, self.ring)
            timer.daemon = True
            timer.start()

    def stop(self) -> None:
        """Let whoever waits see that it is to stop, and listen no more."""
        self._is_stopped = True
        for bell in self._bells:
            bell.ring()
        self.ring()
        for one in self._listeners:
            one.join()
        for bell in self._bells:
            bell.close()

    def _listen(self, bell: Wake) -> None:
        while not self._is_stopped:
            if bell.wait(STOP_LOOKED_FOR_S):
                self.ring()
