"""What became of a study, in one word."""

import pytest

from node.core.job import DeliveryState, JobState, StudyState
from node.core.outcome import OF_DELIVERY, OF_JOB, OF_STUDY, Outcome, outcome_of

S, J, D = StudyState, JobState, DeliveryState


def test_the_tables_are_total() -> None:
    assert set(OF_STUDY) == set(StudyState)
    assert set(OF_JOB) == set(JobState)
    assert set(OF_DELIVERY) == set(DeliveryState)


@pytest.mark.parametrize(
    ("study", "jobs", "deliveries", "expected"),
    [
        (S.GATHERING, [], [], Outcome.GATHERING),
        (S.COMPLETE, [], [], Outcome.NO_JOB),
        (S.COMPLETE, [J.QUEUED], [], Outcome.WORKING),
        (S.COMPLETE, [J.ENCODED], [D.PROVEN], Outcome.DELIVERED),
        (S.COMPLETE, [J.ENCODED], [], Outcome.ENDED),
        (S.COMPLETE, [J.ENCODED, J.FAILED], [D.PROVEN], Outcome.FAILED),
        (S.COMPLETE, [J.ENCODED], [D.PROVEN, D.PARKED], Outcome.PARKED),
        (S.COMPLETE, [J.SUPERSEDED, J.ENCODED], [D.DROPPED, D.PROVEN], Outcome.DELIVERED),
        (S.QUARANTINED, [J.ENCODED], [D.PROVEN], Outcome.HELD),
        (S.PURGED, [J.ENCODED], [D.PROVEN], Outcome.DELIVERED),
    ],
)
def test_the_worst_comes_first(study: S, jobs: list[J], deliveries: list[D], expected: Outcome) -> None:
    assert outcome_of(study, jobs, deliveries) is expected
