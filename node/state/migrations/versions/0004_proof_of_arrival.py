"""How often a destination lacked what it had accepted."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("iso_delivery", schema=None) as batch_op:
        batch_op.add_column(sa.Column("lacking", sa.Integer(), nullable=False, server_default="0"))
