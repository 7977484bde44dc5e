"""Which service works with the ledger: of two copies of a home, one."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("iso_home", sa.Column("tenure", sa.Text()))
