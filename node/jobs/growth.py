"""Watches what a model worker still holds after each prediction, and what is no longer there as it was."""

import os
import resource

from ai.contract import ModelCard
from ai.device import Device
from ai.memory import give_back, held_mb
from node.core.outgrown import crowded, outgrown
from node.jobs.altered import Altered


class Growth:
    """What the process held once each model had predicted, and what it holds since."""

    def __init__(self, device: Device) -> None:
        self._device = device
        self._settled_mb = 0
        self._seen: set[str] = set()
        self._suspect: ModelCard | None = None
        self._altered = Altered()

    def note(self, card: ModelCard, *, is_done: bool) -> None:
        """A prediction has ended. Another one may be under way, and hold memory that it will give back."""
        if card.name not in self._seen:  # of its memory nothing can be told yet
            if is_done:
                self._seen.add(card.name)
                self._settled_mb = held_mb(self._device)
            self._suspect = card if self._altered.words() or _too_many_files() else self._suspect
        elif self._why(card):
            self._suspect = card

    @property
    def is_suspected(self) -> bool:
        return self._suspect is not None

    def verdict(self) -> str:
        """Why a new process should take the place of this one, in words; empty where it may go on. Call it while none
        predicts."""
        card, self._suspect = self._suspect, None
        if card is None:
            return ""
        give_back()
        why = self._why(card)
        return f"after model {card.name} {why}" if why else ""

    def _why(self, card: ModelCard) -> str:
        return (
            self._altered.words()
            or _too_many_files()
            or outgrown(settled_mb=self._settled_mb, held_mb=held_mb(self._device), declared_mb=card.memory_mb)
        )


def _too_many_files() -> str:
    """In words; empty where it has enough left. Where none is left the process has ended before."""
    count = len(os.listdir("/proc/self/fd"))  # noqa: PTH208  a path for each would be made for nothing
    return crowded(files=count, files_limit=resource.getrlimit(resource.RLIMIT_NOFILE)[0])
