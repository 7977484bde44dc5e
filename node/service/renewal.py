"""Notices that what a process works by was replaced: it takes that over, or ends to be started again with it."""

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Generic, Protocol, TypeVar

import structlog

from node.configuration import read_configuration
from node.errors import ConfigurationInvalid
from node.settings import Configuration
from node.state.stamps import Stamp, stamps_of, stamps_of_cards

log = structlog.get_logger()

LOOK_EVERY_S = 1.0
READ_BY = {
    "receiver": ("peers.toml",),
    "service": ("peers.toml", "routes.toml"),
    "worker": ("peers.toml", "routes.toml"),
    "model": (),
}
"""Which files each role works by; node.toml holds from start to start."""


class Named(Protocol):
    """A table of the configuration that is looked up by its name."""

    @property
    def name(self) -> str: ...


T = TypeVar("T", bound=Named)


class Present(Mapping[str, T], Generic[T]):
    """Tables by name as they are at present: who looks one up at each use never works by one that was replaced."""

    def __init__(self, found: Iterable[T] = ()) -> None:
        self.replace(found)

    def replace(self, found: Iterable[T]) -> None:
        """Whole at once: nobody sees half of the new ones."""
        self._named = {one.name: one for one in found}

    def __getitem__(self, name: str) -> T:
        return self._named[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._named)

    def __len__(self) -> int:
        return len(self._named)


class Tables:
    """The configured peers and routes, by name, as they are at present."""

    def __init__(self, configuration: Configuration) -> None:
        self.peers, self.routes = Present(configuration.peers), Present(configuration.routes)

    def take(self, configuration: Configuration) -> None:
        self.peers.replace(configuration.peers)
        self.routes.replace(configuration.routes)


class Watch:
    """Some files of the configuration folder; what is not valid is told in the log, and the one before stays in use."""

    def __init__(
        self,
        folder: Path,
        names: Sequence[str | Path],
        judge: Callable[[Configuration], None] | None = None,
        models: Path | None = None,
    ) -> None:
        """names: in the folder, or whole paths. judge: raises ConfigurationInvalid where the process could not start
        with what was found. models: the folder whose cards are watched too."""
        self._paths, self._folder, self._judge, self._models = [folder / one for one in names], folder, judge, models
        self._files, self._cards = stamps_of(self._paths), self._look_at_cards()
        self.are_models_replaced = False
        """Whether it was also models that were found to be replaced."""

    def changed(self) -> Configuration | None:
        """The configuration, where one of the files was replaced since the last look and all of it is valid."""
        files, cards = stamps_of(self._paths), self._look_at_cards()
        if (files, cards) == (self._files, self._cards):
            return None
        self.are_models_replaced = self.are_models_replaced or cards != self._cards
        self._files, self._cards = files, cards
        try:
            found = read_configuration(self._folder)
            if self._judge is not None:
                self._judge(found)
        except ConfigurationInvalid as error:
            log.warning("configuration-unusable", why=f"{error}; the one before stays in use")
            return None
        return found

    def _look_at_cards(self) -> tuple[tuple[Path, Stamp], ...]:
        return () if self._models is None else stamps_of_cards(self._models)


def follow(watch: Watch, take: Callable[[Configuration], None], stop: threading.Event) -> None:
    """Hand every other valid configuration that lies there to `take`, after saying so; returns at once, and watches
    beside until `stop`."""

    def look() -> None:
        while not stop.wait(LOOK_EVERY_S):
            found = watch.changed()
            if found is not None:
                log.info("configuration-replaced")
                take(found)

    threading.Thread(target=look, name="configuration-watch", daemon=True).start()
