"""What destinations were found to take."""

import sqlalchemy as sa
from alembic import op

import node.state.schema

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "iso_taken",
        sa.Column("destination", sa.Text(), nullable=False),
        sa.Column("sop_class_uid", sa.Text(), nullable=False),
        sa.Column("is_taken", sa.Boolean(), nullable=False),
        sa.Column("at", node.state.schema.UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("destination", "sop_class_uid"),
    )
