"""PostgreSQL compares what is searched by its beginning character by character, whatever the database's language is."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        for name in ("study_uid", "patient_id", "accession"):
            op.alter_column("iso_study", name, type_=sa.Text(collation="C"))
