"""What the node looks into when it is asked to, and what it has seen so far."""

from dataclasses import dataclass
from datetime import datetime
from enum import Enum


class Subject(str, Enum):
    """What is looked into."""

    NODE = "node"
    """Everything that may keep the node from its work (`isocenter check`)."""
    JOURNEY = "journey"
    """A phantom through a node of its own (`isocenter selftest`)."""
    MODEL = "model"
    """What every model promises (`isocenter models check`)."""


@dataclass(frozen=True)
class Seen:
    """One thing that was looked at. holds: None while it is being looked at. words: what was seen, what to mend."""

    what: str
    holds: bool | None
    words: str


@dataclass(frozen=True)
class CheckUp:
    """One look at a subject, or at the model `of` that name. ended_at: None while it lasts.

    why: why it did not come to its end; empty where it did.
    """

    subject: Subject
    of: str
    began_at: datetime
    ended_at: datetime | None = None
    seen: tuple[Seen, ...] = ()
    why: str = ""

    @property
    def lasts(self) -> bool:
        """Whether it is going on."""
        return self.ended_at is None

    @property
    def faults(self) -> int:
        """How many things are not as they should be."""
        return sum(one.holds is False for one in self.seen)

    @property
    def is_sound(self) -> bool:
        """Whether it came to its end and found no fault."""
        return not self.lasts and not self.why and not self.faults


def told(seen: tuple[Seen, ...], one: Seen) -> tuple[Seen, ...]:
    """What has been seen, with one more: one thing is looked at at a time, so that it takes the place of that one."""
    return (*(other for other in seen if other.holds is not None and other.what != one.what), one)
