"""What commands list, what is still open and what was undecided is found by index, however long the history is."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for name, table, columns, where in (
        ("ix_iso_study_first", "iso_study", ["first_at"], None),
        ("ix_iso_job_created", "iso_job", ["created_at"], None),
        ("ix_iso_delivery_created", "iso_delivery", ["created_at"], None),
        ("ix_iso_decision_lately", "iso_decision", ["verdict", "at"], None),
        ("ix_iso_delivery_due", "iso_delivery", ["state", "changed_at"], "next_at IS NOT NULL"),
        ("ix_iso_association_troubled", "iso_association", ["started_at"], "outcome != 'released' OR why != ''"),
    ):
        of = None if where is None else sa.text(where)
        op.create_index(name, table, columns, sqlite_where=of, postgresql_where=of)
