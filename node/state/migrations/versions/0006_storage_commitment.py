"""What destinations were asked to keep for good, and what they reported."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "iso_commitment",
        sa.Column("transaction_uid", sa.Text(), nullable=False),
        sa.Column("delivery_id", sa.Text(), nullable=False),
        sa.Column("accepted_at", sa.DateTime(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("asked_at", sa.DateTime(), nullable=True),
        sa.Column("reported_at", sa.DateTime(), nullable=True),
        sa.Column("outcomes", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["delivery_id"], ["iso_delivery.id"]),
        sa.PrimaryKeyConstraint("transaction_uid"),
    )
    op.create_index(op.f("ix_iso_commitment_delivery_id"), "iso_commitment", ["delivery_id"])
