"""What became of a study, in one word: from its state and those of its jobs and deliveries."""

from collections.abc import Collection
from enum import Enum

from node.core.job import DeliveryState, JobState, StudyState


class Outcome(str, Enum):
    """What became of a study; what a person should look at comes first."""

    HELD = "held"
    FAILED = "failed"
    PARKED = "parked"
    GATHERING = "gathering"
    WORKING = "working"
    SENDING = "sending"
    REFUSED = "refused"
    DELIVERED = "delivered"
    ENDED = "ended"
    """Its jobs or deliveries were cancelled, superseded or dropped."""
    NO_JOB = "no-job"
    """Complete, and no route took it."""
    PURGED = "purged"


OF_STUDY: dict[StudyState, Outcome | None] = {
    StudyState.GATHERING: Outcome.GATHERING,
    StudyState.COMPLETE: None,
    StudyState.QUARANTINED: Outcome.HELD,
    StudyState.PURGED: Outcome.PURGED,
}
OF_JOB: dict[JobState, Outcome | None] = {
    JobState.QUEUED: Outcome.WORKING,
    JobState.PREPARED: Outcome.WORKING,
    JobState.INFERRED: Outcome.WORKING,
    JobState.ENCODED: None,
    JobState.REFUSED: Outcome.REFUSED,
    JobState.FAILED: Outcome.FAILED,
    JobState.CANCELLED: Outcome.ENDED,
    JobState.SUPERSEDED: Outcome.ENDED,
}
OF_DELIVERY: dict[DeliveryState, Outcome] = {
    DeliveryState.WAITING: Outcome.SENDING,
    DeliveryState.SENDING: Outcome.SENDING,
    DeliveryState.ACCEPTED: Outcome.DELIVERED,
    DeliveryState.PROVEN: Outcome.DELIVERED,
    DeliveryState.PARKED: Outcome.PARKED,
    DeliveryState.DROPPED: Outcome.ENDED,
}
"""None: this state alone does not say. Each is total over its states: tests/unit/core/test_outcome.py."""


def outcome_of(study: StudyState, jobs: Collection[JobState], deliveries: Collection[DeliveryState]) -> Outcome:
    """The first in the order of Outcome of all that is told by the study, its jobs and its deliveries."""
    told = {OF_STUDY[study], *(OF_JOB[one] for one in jobs), *(OF_DELIVERY[one] for one in deliveries)} - {None}
    if not told:  # encoded, and nothing to send: a negative that its destination does not want
        return Outcome.ENDED if jobs else Outcome.NO_JOB
    return next(one for one in Outcome if one in told)
