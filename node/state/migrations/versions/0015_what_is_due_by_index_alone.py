"""What is looked for at intervals is found by index, however much waits and however long the history is."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for name, table, columns, where in (
        ("ix_iso_job_waiting", "iso_job", ["state", "created_at"], None),
        ("ix_iso_delivery_waiting", "iso_delivery", ["state", "created_at"], None),
        ("ix_iso_instance_kept", "iso_instance", ["study_id", "why"], "path IS NOT NULL"),
        ("ix_iso_instance_unreadable", "iso_instance", ["received_at"], "kind = 'unreadable'"),
        ("ix_iso_attempt_open", "iso_attempt", ["job_id"], "ended_at IS NULL"),
        ("ix_iso_pledge_untold", "iso_pledge", ["received_at"], "told_at IS NULL"),
        ("ix_iso_pledged_unseen", "iso_pledged", ["study_id"], "seen_at IS NULL"),
    ):
        of = None if where is None else sa.text(where)
        op.create_index(name, table, columns, sqlite_where=of, postgresql_where=of)
    for table in ("iso_study", "iso_job", "iso_delivery"):  # others begin with the same column
        op.drop_index(f"ix_{table}_state", table)
