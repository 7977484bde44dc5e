"""Rows of the ledger as typed values, and the JSON in which header facts are kept."""

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from pydantic import TypeAdapter

from node.core.job import DeliveryState, JobState, Priority, Stage, StudyState
from node.core.study import InstanceFacts, Stack

FACTS: TypeAdapter[InstanceFacts] = TypeAdapter(InstanceFacts)
STACKS: TypeAdapter[dict[str, Stack]] = TypeAdapter(dict[str, Stack])
NAMES: TypeAdapter[tuple[str, ...]] = TypeAdapter(tuple[str, ...])


@dataclass(frozen=True)
class StudyRow:
    """A study as the ledger knows it. modalities: of its images, with blanks between them. association_id: the
    association that brought its last instance."""

    id: str
    study_uid: str
    patient_id: str
    issuer: str
    accession: str | None
    study_date: str | None
    description: str | None
    modalities: str
    state: StudyState
    why: str
    peer: str | None
    calling_ae: str
    called_ae: str
    association_id: str
    first_at: datetime
    last_at: datetime
    completed_at: datetime | None
    generation: int
    incomplete: bool
    ordered: bool

    @classmethod
    def of(cls, row: sa.RowMapping) -> "StudyRow":
        return cls(**{**row, "state": StudyState(row["state"])})


@dataclass(frozen=True)
class _Job:
    id: str
    key: str
    study_id: str
    route: str
    model: str
    model_version: str
    model_digest: str
    input_digest: str


@dataclass(frozen=True)
class NewJob(_Job):
    """A job to be made, with everything its results depend on. inputs: the stack each input gets."""

    inputs: dict[str, Stack]
    destinations: tuple[str, ...]
    incomplete: bool
    priority: Priority


@dataclass(frozen=True)
class JobRow(_Job):
    """A job, less its inputs: they name every image. turn: as its ticket has it."""

    destinations: tuple[str, ...]
    incomplete: bool
    priority: Priority
    state: JobState
    stage: Stage
    run: int
    turn: int
    reason: str | None
    message: str
    created_at: datetime
    changed_at: datetime

    @classmethod
    def of(cls, row: sa.RowMapping) -> "JobRow":
        parsed = {
            "destinations": NAMES.validate_json(row["destinations"]),
            "priority": Priority(row["priority"]),
            "state": JobState(row["state"]),
            "stage": Stage(row["stage"]),
        }
        return cls(**{**row, **parsed})


@dataclass(frozen=True)
class RunRow:
    """One run of a job. The paths are relative to the home; None until the stage's artefact was adopted."""

    job_id: str
    run: int
    started_at: datetime
    prepared: str | None
    findings: str | None
    results: str | None


@dataclass(frozen=True)
class ResultRow:
    """One result object of a run, adopted and immutable."""

    sop_uid: str
    job_id: str
    run: int
    kind: str
    series_uid: str
    sop_class_uid: str
    transfer_syntax_uid: str
    path: str
    position: int


@dataclass(frozen=True)
class DeliveryRow:
    """One run's results on their way to one destination. attempt: the number of the try that is due or under way.

    lacking: how often the destination was found to lack what it had accepted.
    """

    id: str
    job_id: str
    run: int
    destination: str
    state: DeliveryState
    attempt: int
    created_at: datetime
    first_try_at: datetime | None
    next_at: datetime | None
    changed_at: datetime
    message: str
    lacking: int

    @classmethod
    def of(cls, row: sa.RowMapping) -> "DeliveryRow":
        return cls(**{**row, "state": DeliveryState(row["state"])})
