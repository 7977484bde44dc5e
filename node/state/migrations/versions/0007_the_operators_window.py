"""Who may look and steer, and the indices by which the operator's window finds what it shows."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

INDICES = (
    ("ix_iso_study_newest", "iso_study", ["last_at", "id"]),
    ("ix_iso_study_patient", "iso_study", ["patient_id", "last_at"]),
    ("ix_iso_study_accession", "iso_study", ["accession", "last_at"]),
    ("ix_iso_study_date", "iso_study", ["study_date", "last_at"]),
    ("ix_iso_study_caller", "iso_study", ["calling_ae", "last_at"]),
    ("ix_iso_study_lately", "iso_study", ["state", "last_at"]),
    ("ix_iso_job_route", "iso_job", ["route", "changed_at"]),
    ("ix_iso_job_model", "iso_job", ["model", "changed_at"]),
    ("ix_iso_job_lately", "iso_job", ["state", "changed_at"]),
    ("ix_iso_delivery_lately", "iso_delivery", ["state", "changed_at"]),
    ("ix_iso_event_delivery", "iso_event", ["delivery_id"]),
    ("ix_iso_event_at", "iso_event", ["at"]),
    ("ix_iso_association_outcome", "iso_association", ["outcome", "started_at"]),
)


def upgrade() -> None:
    with op.batch_alter_table("iso_study", schema=None) as batch_op:
        batch_op.add_column(sa.Column("modalities", sa.Text(), nullable=False, server_default=""))
    op.create_table(
        "iso_user",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("password_hash", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("sees_names", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "iso_session",
        sa.Column("token_sha256", sa.Text(), nullable=False),
        sa.Column("user", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("seen_at", sa.DateTime(), nullable=False),
        sa.ForeignKeyConstraint(["user"], ["iso_user.name"]),
        sa.PrimaryKeyConstraint("token_sha256"),
    )
    op.create_index("ix_iso_session_user", "iso_session", ["user"])
    op.create_table(
        "iso_token",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("token_sha256", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
        sa.UniqueConstraint("token_sha256"),
    )
    for name, table, columns in INDICES:
        op.create_index(name, table, columns)
    _fill_modalities()


def _fill_modalities() -> None:
    """Studies that are here already: the modalities of their images."""
    study = sa.table("iso_study", sa.column("id"), sa.column("modalities"))
    instance = sa.table("iso_instance", sa.column("study_id"), sa.column("kind"), sa.column("modality"))
    connection = op.get_bind()
    query = sa.select(instance.c.study_id, instance.c.modality).distinct()
    found: dict[str, set[str]] = {}
    for row in connection.execute(query.where(instance.c.kind == "image", instance.c.modality.is_not(None))):
        found.setdefault(row.study_id, set()).add("-".join(row.modality.split()))
    for identity, words in found.items():
        values = {"modalities": " ".join(sorted(words))}
        connection.execute(study.update().where(study.c.id == identity).values(values))
