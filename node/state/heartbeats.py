"""Signs of life: each process that takes work counts up its own row, and whoever looks sees which have stopped.

Counts are compared, never times: hosts' clocks differ and are set.
"""

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from node.state import schema


@dataclass(frozen=True)
class Pulse:
    """A process's signs of life so far. beat_at: when its own clock said the last one was.

    dead_since_beat: the count at which it was taken for dead, None where it never was.
    """

    executor: str
    beats: int
    beat_at: datetime
    dead_since_beat: int | None

    @property
    def is_taken_for_dead(self) -> bool:
        """Whether it gave no sign since it was taken for dead."""
        return self.dead_since_beat == self.beats


def beat(connection: sa.Connection, executor: str, now: datetime) -> None:
    """Give one sign of life."""
    table = schema.process
    counted = table.update().where(table.c.executor == executor).values(beats=table.c.beats + 1, beat_at=now)
    if connection.execute(counted).rowcount == 0:
        connection.execute(table.insert().values(executor=executor, beats=1, beat_at=now))


def pulses(connection: sa.Connection) -> list[Pulse]:
    """Every process that ever gave a sign of life, by name."""
    query = sa.select(schema.process).order_by(schema.process.c.executor)
    return [Pulse(**row) for row in connection.execute(query).mappings()]


def take_for_dead(connection: sa.Connection, pulse: Pulse) -> bool:
    """Note that a process is taken for dead; False where it has given a sign meanwhile."""
    table = schema.process
    same = (table.c.executor == pulse.executor, table.c.beats == pulse.beats)
    return connection.execute(table.update().where(*same).values(dead_since_beat=pulse.beats)).rowcount == 1
