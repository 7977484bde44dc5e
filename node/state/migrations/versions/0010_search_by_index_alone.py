"""Searching by modality and route reads indices alone, however many studies there are."""

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_index("ix_iso_study_newest", "iso_study")
    op.create_index("ix_iso_study_newest", "iso_study", ["last_at", "id", "modalities"])
    op.create_index("ix_iso_job_of_study", "iso_job", ["study_id", "route", "state"])
