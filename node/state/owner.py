"""Whose ledger it is: a home and the ledger that works for it know each other by one name."""

import secrets
from contextlib import suppress
from pathlib import Path

import sqlalchemy as sa

from node.errors import ConfigurationInvalid
from node.state import schema
from node.state.ledger import Ledger
from node.state.replaced import replace_text

NODE_ID = "node-id"
"""In a home: the name under which its ledger and its backups know it."""


def node_id(home: Path) -> str:
    """What tells this home from another one in the same place, as a new node's after a disk was lost."""
    if not _told(home):
        replace_text(home / NODE_ID, secrets.token_hex(8))
    return _told(home)


def take_for(ledger: Ledger, home: Path) -> None:
    """Let a ledger be this home's, where it is nobody's yet. Raises as `check_owner` does."""
    name = node_id(home)
    with ledger.write() as connection:
        if _owner(connection) is None:
            connection.execute(schema.home.insert().values(node_id=name))
    check_owner(ledger, home)


def check_owner(ledger: Ledger, home: Path) -> None:
    """Raises ConfigurationInvalid where a ledger is another home's: each would take the other's work for its own, of
    which it has no images."""
    with ledger.read() as connection:
        owner = _owner(connection)
    if owner not in (None, _told(home)):
        raise ConfigurationInvalid(
            f"the ledger that state.database_url names is another home's: name an empty database, or set "
            f"ISOCENTER_HOME; where that home is lost, restore a backup, or write {owner} into {home / NODE_ID} to go "
            "on without its images"
        )


def _told(home: Path) -> str:
    with suppress(FileNotFoundError):
        return (home / NODE_ID).read_text().strip()
    return ""


def _owner(connection: sa.Connection) -> str | None:
    found: str | None = connection.execute(sa.select(schema.home.c.node_id)).scalar()
    return found
