"""Runs the migrations on the connection that node.state.database passes in."""

from alembic import context

from node.state.database import VERSION_TABLE
from node.state.schema import metadata

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=metadata, version_table=VERSION_TABLE, render_as_batch=True)
with context.begin_transaction():
    context.run_migrations()
