"""States of studies, jobs and deliveries, and the one table of each that says what may follow what."""

from enum import Enum, IntEnum


class StudyState(str, Enum):
    """States of a study (design section 2)."""

    GATHERING = "gathering"
    COMPLETE = "complete"
    QUARANTINED = "quarantined"
    PURGED = "purged"


class StudyEvent(str, Enum):
    """What happens to a study."""

    ARRIVED = "arrived"
    COMPLETED = "completed"
    HELD = "held"
    RELEASED = "released"
    PURGED = "purged"
    ERASED = "erased"


S, SE = StudyState, StudyEvent
STUDY_TRANSITIONS: dict[tuple[StudyState, StudyEvent], StudyState] = {
    (S.GATHERING, SE.ARRIVED): S.GATHERING,
    (S.GATHERING, SE.COMPLETED): S.COMPLETE,
    (S.GATHERING, SE.HELD): S.QUARANTINED,
    (S.COMPLETE, SE.ARRIVED): S.GATHERING,  # a late image reopens the study
    (S.COMPLETE, SE.HELD): S.QUARANTINED,
    (S.COMPLETE, SE.PURGED): S.PURGED,
    (S.QUARANTINED, SE.ARRIVED): S.QUARANTINED,
    (S.QUARANTINED, SE.HELD): S.QUARANTINED,
    (S.QUARANTINED, SE.RELEASED): S.GATHERING,
    (S.PURGED, SE.ARRIVED): S.PURGED,  # kept and shown as "study already purged"
    **{(state, SE.ERASED): S.PURGED for state in S},  # what is left of it is never taken for a whole study
}
"""Design sections 1, 2 and 4. A pair that is absent cannot happen."""


class JobState(str, Enum):
    """States of a job: the last stage that is done, or how it ended."""

    QUEUED = "queued"
    PREPARED = "prepared"
    INFERRED = "inferred"
    ENCODED = "encoded"
    REFUSED = "refused"
    FAILED = "failed"
    CANCELLED = "cancelled"
    SUPERSEDED = "superseded"


class Stage(str, Enum):
    """What is done to a job next; each is one short durable step."""

    PREPARE = "prepare"
    INFER = "infer"
    ENCODE = "encode"


class JobEvent(str, Enum):
    """What happens to a job."""

    PREPARED = "prepared"
    INFERRED = "inferred"
    ENCODED = "encoded"
    REFUSED = "refused"
    FAILED = "failed"
    CANCELLED = "cancelled"
    SUPERSEDED = "superseded"


J, JE = JobState, JobEvent
JOB_TRANSITIONS: dict[tuple[JobState, JobEvent], JobState] = {
    (J.QUEUED, JE.PREPARED): J.PREPARED,
    (J.PREPARED, JE.INFERRED): J.INFERRED,
    (J.INFERRED, JE.ENCODED): J.ENCODED,
    (J.QUEUED, JE.REFUSED): J.REFUSED,
    (J.PREPARED, JE.REFUSED): J.REFUSED,
    (J.QUEUED, JE.FAILED): J.FAILED,
    (J.PREPARED, JE.FAILED): J.FAILED,
    (J.INFERRED, JE.FAILED): J.FAILED,
    (J.QUEUED, JE.CANCELLED): J.CANCELLED,
    (J.PREPARED, JE.CANCELLED): J.CANCELLED,
    (J.INFERRED, JE.CANCELLED): J.CANCELLED,
    (J.QUEUED, JE.SUPERSEDED): J.SUPERSEDED,
    (J.PREPARED, JE.SUPERSEDED): J.SUPERSEDED,
    (J.INFERRED, JE.SUPERSEDED): J.SUPERSEDED,
    (J.ENCODED, JE.SUPERSEDED): J.SUPERSEDED,
    (J.REFUSED, JE.SUPERSEDED): J.SUPERSEDED,
    (J.FAILED, JE.SUPERSEDED): J.SUPERSEDED,
    (J.CANCELLED, JE.SUPERSEDED): J.SUPERSEDED,
}
"""Design section 2. `retry` and `again` are not here: they put a job back to STATE_BEFORE[stage]."""

STATE_BEFORE: dict[Stage, JobState] = {
    Stage.PREPARE: JobState.QUEUED,
    Stage.INFER: JobState.PREPARED,
    Stage.ENCODE: JobState.INFERRED,
}
"""The state in which a job waits for a stage: what the compare-and-set of that stage compares with."""

EVENT_AFTER: dict[Stage, JobEvent] = {
    Stage.PREPARE: JobEvent.PREPARED,
    Stage.INFER: JobEvent.INFERRED,
    Stage.ENCODE: JobEvent.ENCODED,
}

NEXT_STAGE: dict[Stage, Stage | None] = {
    Stage.PREPARE: Stage.INFER,
    Stage.INFER: Stage.ENCODE,
    Stage.ENCODE: None,
}

JOB_ENDED = frozenset({J.ENCODED, J.REFUSED, J.FAILED, J.CANCELLED, J.SUPERSEDED})
"""States in which no stage is due any more."""


class DeliveryState(str, Enum):
    """States of a delivery. "Delivered" is proven, or accepted where the destination's proof is "none"."""

    WAITING = "waiting"
    SENDING = "sending"
    ACCEPTED = "accepted"
    PROVEN = "proven"
    PARKED = "parked"
    DROPPED = "dropped"


class DeliveryEvent(str, Enum):
    """What happens to a delivery."""

    STARTED = "started"
    ACCEPTED = "accepted"
    POSTPONED = "postponed"
    PARKED = "parked"
    DROPPED = "dropped"
    PROVEN = "proven"
    RESENT = "resent"


D, DE = DeliveryState, DeliveryEvent
DELIVERY_TRANSITIONS: dict[tuple[DeliveryState, DeliveryEvent], DeliveryState] = {
    (D.WAITING, DE.STARTED): D.SENDING,
    (D.SENDING, DE.STARTED): D.SENDING,  # the courier died while sending: the same attempt is taken up again
    (D.SENDING, DE.ACCEPTED): D.ACCEPTED,
    (D.SENDING, DE.POSTPONED): D.WAITING,
    (D.SENDING, DE.PARKED): D.PARKED,
    (D.ACCEPTED, DE.PROVEN): D.PROVEN,
    (D.ACCEPTED, DE.POSTPONED): D.WAITING,
    (D.ACCEPTED, DE.PARKED): D.PARKED,
    (D.WAITING, DE.DROPPED): D.DROPPED,
    (D.PARKED, DE.DROPPED): D.DROPPED,
    (D.WAITING, DE.RESENT): D.WAITING,
    (D.PARKED, DE.RESENT): D.WAITING,
    (D.ACCEPTED, DE.RESENT): D.WAITING,
    (D.PROVEN, DE.RESENT): D.WAITING,
    (D.DROPPED, DE.RESENT): D.WAITING,
}
"""Design section 2."""


class Priority(IntEnum):
    """Order in the queues. It starts at 1: the engine's own default of 0 would outrank STAT."""

    STAT = 1
    URGENT = 2
    ROUTINE = 3


PRIORITY_WORDS: dict[str, Priority] = {
    "STAT": Priority.STAT,
    "HIGH": Priority.URGENT,
    "URGENT": Priority.URGENT,
    "MEDIUM": Priority.ROUTINE,
    "ROUTINE": Priority.ROUTINE,
    "LOW": Priority.ROUTINE,
}
"""Requested Procedure Priority (0040,1003), PS3.3 C.4.11, with the words of routes.toml."""


def priority_of(route: str, requested: str | None) -> Priority:
    """The more urgent of what the route and the request ask for."""
    words = [route.upper(), (requested or "").upper()]
    return min((PRIORITY_WORDS[word] for word in words if word in PRIORITY_WORDS), default=Priority.ROUTINE)
