"""What must hold whatever was killed: nothing acknowledged is missing, nothing is done twice."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from node.bench.sender import Acknowledged, data_set_digest
from node.core.job import JobState
from node.state import schema
from node.state.ledger import Ledger


@dataclass(frozen=True)
class Balance:
    """The account after the kills; see `of` for what each number counts."""

    acknowledged: int
    missing: int
    jobs: int
    lost_jobs: int
    duplicate_jobs: int
    failed_jobs: int
    objects: int
    lost_objects: int
    duplicate_objects: int

    @property
    def ok(self) -> bool:
        """Whether nothing was lost, doubled or given up."""
        faults = self.missing, self.lost_jobs, self.duplicate_jobs, self.failed_jobs
        return not any(faults) and not self.lost_objects and not self.duplicate_objects


def balance(
    ledger: Ledger, home: Path, acknowledged: Sequence[Acknowledged], studies: Sequence[str], received: Sequence[Path]
) -> Balance:
    """Settle the account.

    acknowledged: the sender's journal. studies: Study Instance UIDs sent whole that one route takes. received: files
    that the destination holds, one for each SOP Instance UID, named by it.

    missing: acknowledged instances that are not in the spool with the bytes that were sent. lost_jobs,
    duplicate_jobs: studies with no job in force, and jobs in force beyond the first. failed_jobs: given up, though
    only kills went wrong. lost_objects: results of finished runs that did not arrive with the bytes that were adopted.
    duplicate_objects: what arrived that is no object of a finished run.
    """
    with ledger.read() as connection:
        in_force = _jobs_in_force(connection)
        expected = _results(connection, home)
    per_study = Counter(study for study, _ in in_force)
    arrived = {path.stem: path for path in received}
    sound = sum(
        uid in arrived and data_set_digest(path) == data_set_digest(arrived[uid]) for uid, path in expected.items()
    )
    return Balance(
        acknowledged=len(acknowledged),
        missing=sum(not _is_kept(home, one) for one in acknowledged),
        jobs=len(in_force),
        lost_jobs=sum(per_study[uid] == 0 for uid in studies),
        duplicate_jobs=sum(count - 1 for count in per_study.values()),
        failed_jobs=sum(state == JobState.FAILED.value for _, state in in_force),
        objects=len(expected),
        lost_objects=len(expected) - sound,
        duplicate_objects=len(arrived.keys() - expected.keys()),
    )


def _is_kept(home: Path, one: Acknowledged) -> bool:
    folder = home / "spool" / "instances" / one.study_uid
    return any(data_set_digest(path) == one.sha256 for path in folder.glob(f"{one.sop_instance_uid}*.dcm"))


def _jobs_in_force(connection: sa.Connection) -> list[tuple[str, str]]:
    """(Study Instance UID, state) of each job that no later one superseded."""
    query = (
        sa.select(schema.study.c.study_uid, schema.job.c.state)
        .select_from(schema.job.join(schema.study))
        .where(schema.job.c.state != JobState.SUPERSEDED.value)
    )
    return [(row.study_uid, row.state) for row in connection.execute(query)]


def _results(connection: sa.Connection, home: Path) -> dict[str, Path]:
    """Files of every result object, by SOP Instance UID."""
    rows = connection.execute(sa.select(schema.result.c.sop_uid, schema.result.c.path))
    return {row.sop_uid: home / row.path for row in rows}
