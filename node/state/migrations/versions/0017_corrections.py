"""Whose a study is where an operator says so: results are encoded anew where an archive corrected the patient."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    texts = ("patient_id", "issuer", "accession", "patient_name", "birth_date", "sex", "destination")
    op.create_table(
        "iso_correction",
        sa.Column("study_id", sa.Text(), sa.ForeignKey("iso_study.id"), primary_key=True),
        *(sa.Column(name, sa.Text(), nullable=False) for name in texts),
        sa.Column("at", sa.DateTime(), nullable=False),
    )
