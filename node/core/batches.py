"""Many, some at a time."""

from collections.abc import Iterator, Sequence
from typing import TypeVar

One = TypeVar("One")


def in_batches(many: Sequence[One], at_once: int) -> Iterator[Sequence[One]]:
    """All of them in their order, at most so many at a time."""
    return (many[first : first + at_once] for first in range(0, len(many), at_once))
