"""Brings the ledger's tables up to date."""

from importlib.resources import files
from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util import CommandError

from node.errors import LedgerUnusable
from node.state import postgres
from node.state.database import VERSION_TABLE, revision_in, writing


def migrations() -> Config:
    """Where alembic finds them."""
    config = Config()
    config.set_main_option("script_location", str(files("node.state") / "migrations"))
    config.set_main_option("version_table", VERSION_TABLE)
    return config


def migrate(engine: sa.Engine) -> None:
    """Bring the ledger's tables to this version. Raises LedgerUnusable where a newer version wrote them."""
    config = migrations()
    known = ScriptDirectory.from_config(config)
    if engine.dialect.name == "sqlite" and engine.url.database:
        Path(engine.url.database).touch(mode=0o600)
    with writing(engine).begin() as connection:
        if engine.dialect.name == "postgresql" and not sa.inspect(connection).has_schema(postgres.SCHEMA):
            connection.execute(sa.schema.CreateSchema(postgres.SCHEMA))
        here = revision_in(connection)
        if here is not None:
            try:
                known.get_revision(here)
            except CommandError as error:
                raise LedgerUnusable(
                    f"the ledger at {engine.url.render_as_string()} is of a newer Isocenter (revision {here}); "
                    "install that version again, or restore a backup made before the upgrade"
                ) from error
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
