"""What destinations were found to take: facts of negotiation, and of what they refused."""

from collections.abc import Mapping
from datetime import datetime

import sqlalchemy as sa

from node.state import schema


def record_taken(connection: sa.Connection, destination: str, classes: Mapping[str, bool], now: datetime) -> None:
    """Record by SOP class whether a destination takes it; a later answer replaces an earlier one."""
    table = schema.taken
    for sop_class_uid, is_taken in classes.items():
        key = (table.c.destination == destination, table.c.sop_class_uid == sop_class_uid)
        values = {"is_taken": is_taken, "at": now}
        if connection.execute(table.update().where(*key).values(values)).rowcount == 0:
            connection.execute(table.insert().values(destination=destination, sop_class_uid=sop_class_uid, **values))


def is_taken(connection: sa.Connection, destination: str, sop_class_uid: str) -> bool | None:
    """Whether a destination takes a SOP class; None where that is not known."""
    table = schema.taken
    key = (table.c.destination == destination, table.c.sop_class_uid == sop_class_uid)
    return connection.execute(sa.select(table.c.is_taken).where(*key)).scalar()


def asked_at(connection: sa.Connection, destination: str, sop_class_uid: str) -> datetime | None:
    """When it was last found out whether a destination takes a SOP class."""
    table = schema.taken
    key = (table.c.destination == destination, table.c.sop_class_uid == sop_class_uid)
    return connection.execute(sa.select(table.c.at).where(*key)).scalar()
