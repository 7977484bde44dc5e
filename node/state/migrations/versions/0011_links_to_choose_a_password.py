"""Links with which a user chooses a password, kept as their digests."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "iso_password_link",
        sa.Column("code_sha256", sa.Text(), primary_key=True),
        sa.Column("user", sa.Text(), sa.ForeignKey("iso_user.name"), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
    )
    op.create_index("ix_iso_password_link_user", "iso_password_link", ["user"])
