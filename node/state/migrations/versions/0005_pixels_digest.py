"""What an instance's pixels are, whatever syntax they came in."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("iso_instance", schema=None) as batch_op:
        batch_op.add_column(sa.Column("pixels_sha256", sa.Text(), nullable=True))
