"""Keeps models open between studies while memory lasts: the one that was used longest ago makes room for another."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext

from ai.contract import Model, Predict
from ai.device import Device
from ai.errors import OutOfMemory
from ai.memory import begin_peak, free_mb, peak_mb, used_mb

Waiting = Callable[[], AbstractContextManager[None]]
"""Entered while one prediction waits for another: whoever limits its time may leave that out."""


@contextmanager
def taken(lock: AbstractContextManager[object], waiting: Waiting) -> Iterator[None]:
    """Hold a lock; what it takes to get it is waiting."""
    with ExitStack() as entered:
        with waiting():
            entered.enter_context(lock)
        yield


class Open:
    """An open model, and how many predictions hold it at the moment."""

    def __init__(self, entered: AbstractContextManager[Predict], base_mb: int) -> None:
        self._entered, self.base_mb = entered, base_mb
        self.predict = entered.__enter__()
        self.holders = 0

    def close(self) -> None:
        self._entered.__exit__(None, None, None)


class WarmModels:
    """The models of one process on its device. A model takes what was measured of it; before that, what it declares."""

    def __init__(self, models: Mapping[str, Model], device: Device, free: Callable[[Device], int] = free_mb) -> None:
        self._models, self._device, self._free = models, device, free
        self._open: OrderedDict[str, Open] = OrderedDict()
        self._measured_mb: dict[str, int] = {}
        self._changed = threading.Condition()

    @contextmanager
    def held(self, name: str, waiting: Waiting = nullcontext) -> Iterator[Predict]:
        """The model's prediction; it stays open while it is held, and after that while nothing else needs the room.

        Raises OutOfMemory where it needs more than there is, and what its opening raises.
        """
        with taken(self._changed, waiting):
            if name not in self._open:
                self._make_room(name, waiting)
            if name not in self._open:  # another prediction may have opened it while this one waited
                self._open[name] = Open(self._models[name].open(self._device), used_mb(self._device))
            one = self._open[name]
            self._open.move_to_end(name)
            one.holders += 1
        try:
            yield one.predict
        finally:
            with self._changed:
                one.holders -= 1
                self._changed.notify_all()

    @contextmanager
    def measured(self, name: str) -> Iterator[None]:
        """Keep the most memory that the model took while inside, where the system tells; one at a time on a device."""
        is_told = begin_peak(self._device)
        yield
        if not is_told:
            return
        with self._changed:
            taken = peak_mb(self._device) - self._open[name].base_mb
            self._measured_mb[name] = max(taken, self._measured_mb.get(name, 0))

    def needs_mb(self, name: str) -> int:
        """What is kept free for a model that is to be opened."""
        return self._measured_mb.get(name, self._models[name].card.memory_mb)

    @property
    def names(self) -> list[str]:
        """The models that are open, the one used longest ago first."""
        with self._changed:
            return list(self._open)

    def close(self) -> None:
        """Close every model."""
        with self._changed:
            while self._open:
                self._open.popitem()[1].close()

    def _make_room(self, name: str, waiting: Waiting) -> None:
        needs = self.needs_mb(name)
        while name not in self._open and self._free(self._device) < needs:
            idle = next((one for one, held in self._open.items() if not held.holders), None)
            if idle is not None:
                self._open.pop(idle).close()
            elif self._open:
                with waiting():
                    self._changed.wait()
            else:
                raise OutOfMemory(
                    f"{name} needs {needs} MB, and {self._free(self._device)} MB are free: give this host more memory, "
                    "or run fewer model workers on it"
                )
