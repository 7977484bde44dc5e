"""Stamps of files: they differ once a file was replaced."""

from collections.abc import Iterable
from pathlib import Path

Stamp = tuple[int, int]
ABSENT: Stamp = (0, 0)


def stamp_of(path: Path) -> Stamp:
    """ABSENT for a file that is not there, or that is gone by now."""
    try:
        status = path.stat()
    except OSError:
        return ABSENT
    return status.st_mtime_ns, status.st_ino


def stamps_of(paths: Iterable[Path]) -> tuple[tuple[Path, Stamp], ...]:
    """Of several files, in their order."""
    return tuple((path, stamp_of(path)) for path in paths)


def stamps_of_cards(models: Path) -> tuple[tuple[Path, Stamp], ...]:
    """Of the cards of every model in a folder of models: they differ, too, where a model came or went."""
    return stamps_of(sorted(models.glob("*/card.toml")))
