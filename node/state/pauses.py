"""What an operator has paused: nothing of it is started until it is resumed, and nothing of it is lost."""

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from node.core.pausable import Pausable
from node.state import schema
from node.state.ledger import note
from node.state.rows import JobRow


@dataclass(frozen=True)
class Paused:
    """One pause and since when it holds."""

    kind: Pausable
    name: str
    at: datetime


def paused(connection: sa.Connection) -> list[Paused]:
    """Every pause, oldest first."""
    rows = connection.execute(sa.select(schema.pause).order_by(schema.pause.c.at))
    return [Paused(Pausable(row.kind), row.name, row.at) for row in rows]


def is_paused(connection: sa.Connection, kind: Pausable, name: str) -> bool:
    """Whether that one is paused."""
    query = sa.select(schema.pause.c.at).where(schema.pause.c.kind == kind.value, schema.pause.c.name == name)
    return connection.execute(query).first() is not None


def is_job_paused(connection: sa.Connection, job: JobRow) -> bool:
    """Whether the job's route or model is paused."""
    return is_paused(connection, Pausable.ROUTE, job.route) or is_paused(connection, Pausable.MODEL, job.model)


def pause(connection: sa.Connection, kind: Pausable, name: str, now: datetime) -> bool:
    """Pause one; False where it is paused already."""
    if is_paused(connection, kind, name):
        return False
    connection.execute(schema.pause.insert().values(kind=kind.value, name=name, at=now))
    note(connection, now, "paused", f"{kind.value} {name}")
    return True


def resume(connection: sa.Connection, kind: Pausable, name: str, now: datetime) -> bool:
    """Forget a pause; False where there was none."""
    query = schema.pause.delete().where(schema.pause.c.kind == kind.value, schema.pause.c.name == name)
    if connection.execute(query).rowcount == 0:
        return False
    note(connection, now, "resumed", f"{kind.value} {name}")
    return True
