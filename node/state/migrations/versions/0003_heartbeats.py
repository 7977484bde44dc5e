"""Heartbeats of the processes that take work."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "iso_process",
        sa.Column("executor", sa.Text(), nullable=False),
        sa.Column("beats", sa.Integer(), nullable=False),
        sa.Column("beat_at", sa.DateTime(), nullable=False),
        sa.Column("dead_since_beat", sa.Integer(), nullable=True),
        sa.PrimaryKeyConstraint("executor"),
    )
