"""The home whose ledger it is: two homes on one database took each other's work."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table("iso_home", sa.Column("node_id", sa.Text(), primary_key=True))
