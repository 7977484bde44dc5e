"""Tables of the ledger: facts about studies, jobs and deliveries. Changes go with a migration."""

from datetime import UTC, datetime

import sqlalchemy as sa


class UtcTime(sa.types.TypeDecorator[datetime]):
    """An aware time, stored in UTC."""

    impl = sa.DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:  # noqa: ARG002
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("times in the ledger are aware: pass one with a time zone")
        return value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:  # noqa: ARG002
        return None if value is None else value.replace(tzinfo=UTC)


metadata = sa.MetaData()
Column, Text, Integer, Boolean = sa.Column, sa.Text, sa.Integer, sa.Boolean
Sorted = Text().with_variant(Text(collation="C"), "postgresql")
"""A text that is searched by its beginning: in most languages ":" comes before "9", and a range of texts would miss."""

study = sa.Table(
    "iso_study",
    metadata,
    Column("id", Text, primary_key=True),
    Column("study_uid", Sorted, nullable=False, index=True),
    Column("patient_id", Sorted, nullable=False),
    Column("issuer", Text, nullable=False),
    Column("accession", Sorted),
    Column("study_date", Text),
    Column("description", Text),
    Column("modalities", Text, nullable=False, default="", server_default=""),
    Column("state", Text, nullable=False),
    Column("why", Text, nullable=False, default=""),
    Column("peer", Text),
    Column("calling_ae", Text, nullable=False),
    Column("called_ae", Text, nullable=False),
    Column("association_id", Text, nullable=False),
    Column("first_at", UtcTime, nullable=False),
    Column("last_at", UtcTime, nullable=False),
    Column("completed_at", UtcTime),
    Column("generation", Integer, nullable=False, default=0),
    Column("incomplete", Boolean, nullable=False, default=False),
    Column("ordered", Boolean, nullable=False, default=False),
)

instance = sa.Table(
    "iso_instance",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("study_id", Text, sa.ForeignKey("iso_study.id"), nullable=False, index=True),
    Column("sop_uid", Text, nullable=False, index=True),
    Column("series_uid", Text, nullable=False),
    Column("sop_class_uid", Text, nullable=False),
    Column("transfer_syntax_uid", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("modality", Text),
    Column("sha256", Text, nullable=False),
    Column("pixels_sha256", Text),
    Column("size_bytes", Integer, nullable=False),
    Column("path", Text, unique=True),
    Column("in_force", Boolean, nullable=False),
    Column("received_at", UtcTime, nullable=False),
    Column("association_id", Text, nullable=False),
    Column("facts", Text),
    Column("why", Text, nullable=False, default=""),
)

decision = sa.Table(
    "iso_decision",
    metadata,
    Column("study_id", Text, sa.ForeignKey("iso_study.id"), primary_key=True),
    Column("generation", Integer, primary_key=True),
    Column("route", Text, primary_key=True),
    Column("verdict", Text, nullable=False),
    Column("why", Text, nullable=False),
    Column("job_id", Text),
    Column("at", UtcTime, nullable=False),
)

correction = sa.Table(
    "iso_correction",
    metadata,
    Column("study_id", Text, sa.ForeignKey("iso_study.id"), primary_key=True),
    Column("patient_id", Text, nullable=False),
    Column("issuer", Text, nullable=False),
    Column("accession", Text, nullable=False),
    Column("patient_name", Text, nullable=False),
    Column("birth_date", Text, nullable=False),
    Column("sex", Text, nullable=False),
    Column("destination", Text, nullable=False),
    Column("at", UtcTime, nullable=False),
)

job = sa.Table(
    "iso_job",
    metadata,
    Column("id", Text, primary_key=True),
    Column("key", Text, nullable=False, unique=True),
    Column("study_id", Text, sa.ForeignKey("iso_study.id"), nullable=False, index=True),
    Column("route", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("model_version", Text, nullable=False),
    Column("model_digest", Text, nullable=False),
    Column("input_digest", Text, nullable=False),
    Column("inputs", Text, nullable=False),
    Column("destinations", Text, nullable=False),
    Column("incomplete", Boolean, nullable=False),
    Column("priority", Integer, nullable=False),
    Column("state", Text, nullable=False),
    Column("stage", Text, nullable=False),
    Column("run", Integer, nullable=False),
    Column("turn", Integer, nullable=False),
    Column("reason", Text),
    Column("message", Text, nullable=False, default=""),
    Column("created_at", UtcTime, nullable=False),
    Column("changed_at", UtcTime, nullable=False),
)

run = sa.Table(
    "iso_run",
    metadata,
    Column("job_id", Text, sa.ForeignKey("iso_job.id"), primary_key=True),
    Column("run", Integer, primary_key=True),
    Column("started_at", UtcTime, nullable=False),
    Column("prepared", Text),
    Column("findings", Text),
    Column("results", Text),
)

attempt = sa.Table(
    "iso_attempt",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("job_id", Text, sa.ForeignKey("iso_job.id"), nullable=False, index=True),
    Column("run", Integer, nullable=False),
    Column("stage", Text, nullable=False),
    Column("turn", Integer, nullable=False),
    Column("executor", Text, nullable=False),
    Column("started_at", UtcTime, nullable=False),
    Column("ended_at", UtcTime),
    Column("outcome", Text),
    Column("message", Text, nullable=False, default=""),
    Column("peak_mb", Integer),
)

result = sa.Table(
    "iso_result",
    metadata,
    Column("sop_uid", Text, primary_key=True),
    Column("job_id", Text, sa.ForeignKey("iso_job.id"), nullable=False, index=True),
    Column("run", Integer, nullable=False),
    Column("kind", Text, nullable=False),
    Column("series_uid", Text, nullable=False),
    Column("sop_class_uid", Text, nullable=False),
    Column("transfer_syntax_uid", Text, nullable=False),
    Column("path", Text, nullable=False),
    Column("position", Integer, nullable=False),
)

delivery = sa.Table(
    "iso_delivery",
    metadata,
    Column("id", Text, primary_key=True),
    Column("job_id", Text, sa.ForeignKey("iso_job.id"), nullable=False, index=True),
    Column("run", Integer, nullable=False),
    Column("destination", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("first_try_at", UtcTime),
    Column("next_at", UtcTime),
    Column("changed_at", UtcTime, nullable=False),
    Column("message", Text, nullable=False, default=""),
    Column("lacking", Integer, nullable=False, default=0, server_default="0"),
)

sent = sa.Table(
    "iso_sent",
    metadata,
    Column("delivery_id", Text, sa.ForeignKey("iso_delivery.id"), primary_key=True),
    Column("sop_uid", Text, primary_key=True),
    Column("outcome", Text, nullable=False),
    Column("status", Integer),
    Column("message", Text, nullable=False),
    Column("at", UtcTime, nullable=False),
)

commitment = sa.Table(
    "iso_commitment",
    metadata,
    Column("transaction_uid", Text, primary_key=True),
    Column("delivery_id", Text, sa.ForeignKey("iso_delivery.id"), nullable=False, index=True),
    Column("accepted_at", UtcTime, nullable=False),
    Column("number", Integer, nullable=False),
    Column("asked_at", UtcTime),
    Column("reported_at", UtcTime),
    Column("outcomes", Text),
)

pledge = sa.Table(
    "iso_pledge",
    metadata,
    Column("peer", Text, primary_key=True),
    Column("transaction_uid", Text, primary_key=True),
    Column("called_ae", Text, nullable=False),
    Column("association_id", Text, nullable=False),
    Column("received_at", UtcTime, nullable=False),
    Column("asked_for", Text, nullable=False),
    Column("outcomes", Text),
    Column("tries", Integer, nullable=False),
    Column("next_at", UtcTime),
    Column("told_at", UtcTime),
)

pledged = sa.Table(
    "iso_pledged",
    metadata,
    Column("study_id", Text, sa.ForeignKey("iso_study.id"), primary_key=True),
    Column("sop_uid", Text, primary_key=True),
    Column("archive", Text, primary_key=True),
    Column("seen_at", UtcTime),
)

association = sa.Table(
    "iso_association",
    metadata,
    Column("id", Text, primary_key=True),
    Column("calling_ae", Text, nullable=False),
    Column("called_ae", Text, nullable=False),
    Column("address", Text, nullable=False),
    Column("started_at", UtcTime, nullable=False, index=True),
    Column("ended_at", UtcTime),
    Column("outcome", Text, nullable=False),
    Column("why", Text, nullable=False),
    Column("stored", Integer, nullable=False),
    Column("refused", Integer, nullable=False),
)

event = sa.Table(
    "iso_event",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("at", UtcTime, nullable=False),
    Column("name", Text, nullable=False),
    Column("study_id", Text, index=True),
    Column("job_id", Text, index=True),
    Column("delivery_id", Text),
    Column("message", Text, nullable=False),
)

taken = sa.Table(
    "iso_taken",
    metadata,
    Column("destination", Text, primary_key=True),
    Column("sop_class_uid", Text, primary_key=True),
    Column("is_taken", Boolean, nullable=False),
    Column("at", UtcTime, nullable=False),
)

pause = sa.Table(
    "iso_pause",
    metadata,
    Column("kind", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("at", UtcTime, nullable=False),
)

home = sa.Table("iso_home", metadata, Column("node_id", Text, primary_key=True), Column("tenure", Text))

process = sa.Table(
    "iso_process",
    metadata,
    Column("executor", Text, primary_key=True),
    Column("beats", Integer, nullable=False),
    Column("beat_at", UtcTime, nullable=False),
    Column("dead_since_beat", Integer),
)

user = sa.Table(
    "iso_user",
    metadata,
    Column("name", Text, primary_key=True),
    Column("password_hash", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("sees_names", Boolean, nullable=False),
    Column("created_at", UtcTime, nullable=False),
)

session = sa.Table(
    "iso_session",
    metadata,
    Column("token_sha256", Text, primary_key=True),
    Column("user", Text, sa.ForeignKey("iso_user.name"), nullable=False, index=True),
    Column("created_at", UtcTime, nullable=False),
    Column("seen_at", UtcTime, nullable=False),
)

password_link = sa.Table(
    "iso_password_link",
    metadata,
    Column("code_sha256", Text, primary_key=True),
    Column("user", Text, sa.ForeignKey("iso_user.name"), nullable=False, index=True),
    Column("created_at", UtcTime, nullable=False),
)
token = sa.Table(
    "iso_token",
    metadata,
    Column("name", Text, primary_key=True),
    Column("token_sha256", Text, nullable=False, unique=True),
    Column("role", Text, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("created_by", Text, nullable=False),
)

# What the operator's window asks, by index: studies from the newest down, alone and under each condition of the search;
# what is under way; what happened lately.
for _name, *_columns in (
    ("ix_iso_study_newest", study.c.last_at, study.c.id, study.c.modalities),
    ("ix_iso_study_patient", study.c.patient_id, study.c.last_at),
    ("ix_iso_study_accession", study.c.accession, study.c.last_at),
    ("ix_iso_study_date", study.c.study_date, study.c.last_at),
    ("ix_iso_study_caller", study.c.calling_ae, study.c.last_at),
    ("ix_iso_study_lately", study.c.state, study.c.last_at),
    ("ix_iso_job_of_study", job.c.study_id, job.c.route, job.c.state),
    ("ix_iso_job_route", job.c.route, job.c.changed_at),
    ("ix_iso_job_model", job.c.model, job.c.changed_at),
    ("ix_iso_job_lately", job.c.state, job.c.changed_at),
    ("ix_iso_delivery_lately", delivery.c.state, delivery.c.changed_at),
    ("ix_iso_event_delivery", event.c.delivery_id),
    ("ix_iso_event_at", event.c.at),
    ("ix_iso_association_outcome", association.c.outcome, association.c.started_at),
    ("ix_iso_study_first", study.c.first_at),
    ("ix_iso_job_created", job.c.created_at),
    ("ix_iso_delivery_created", delivery.c.created_at),
    ("ix_iso_decision_lately", decision.c.verdict, decision.c.at),
    ("ix_iso_job_waiting", job.c.state, job.c.created_at),
    ("ix_iso_delivery_waiting", delivery.c.state, delivery.c.created_at),
):
    sa.Index(_name, *_columns)

# Few of very many: what is still due or under way, files that are still there, and what there is something to say of.
TROUBLED = sa.text("outcome != 'released' OR why != ''")
for _name, _where, *_columns in (
    ("ix_iso_delivery_due", sa.text("next_at IS NOT NULL"), delivery.c.state, delivery.c.changed_at),
    ("ix_iso_association_troubled", TROUBLED, association.c.started_at),
    ("ix_iso_instance_kept", sa.text("path IS NOT NULL"), instance.c.study_id, instance.c.why),
    ("ix_iso_instance_unreadable", sa.text("kind = 'unreadable'"), instance.c.received_at),
    ("ix_iso_attempt_open", sa.text("ended_at IS NULL"), attempt.c.job_id),
    ("ix_iso_pledge_untold", sa.text("told_at IS NULL"), pledge.c.received_at),
    ("ix_iso_pledged_unseen", sa.text("seen_at IS NULL"), pledged.c.study_id),
):
    sa.Index(_name, *_columns, sqlite_where=_where, postgresql_where=_where)
