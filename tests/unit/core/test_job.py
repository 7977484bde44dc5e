"""The three state machines: total where they must be, and without dead ends."""

import pytest

from node.core.job import (
    DELIVERY_TRANSITIONS,
    EVENT_AFTER,
    JOB_ENDED,
    JOB_TRANSITIONS,
    NEXT_STAGE,
    PRIORITY_WORDS,
    STATE_BEFORE,
    STUDY_TRANSITIONS,
    DeliveryEvent,
    DeliveryState,
    JobEvent,
    JobState,
    Priority,
    Stage,
    StudyEvent,
    StudyState,
    priority_of,
)


@pytest.mark.parametrize(
    ("table", "states", "first"),
    [
        (STUDY_TRANSITIONS, StudyState, StudyState.GATHERING),
        (JOB_TRANSITIONS, JobState, JobState.QUEUED),
        (DELIVERY_TRANSITIONS, DeliveryState, DeliveryState.WAITING),
    ],
)
def test_every_state_can_be_reached(table, states, first) -> None:
    reached = {first}
    while more := {after for (before, _), after in table.items() if before in reached} - reached:
        reached |= more

    assert reached == set(states)


@pytest.mark.parametrize(
    ("table", "events"),
    [(STUDY_TRANSITIONS, StudyEvent), (JOB_TRANSITIONS, JobEvent), (DELIVERY_TRANSITIONS, DeliveryEvent)],
)
def test_every_event_happens_somewhere(table, events) -> None:
    assert {event for _, event in table} == set(events)


def test_a_stage_moves_a_job_from_the_state_it_waits_in_to_the_next_stages() -> None:
    for stage in Stage:
        after = JOB_TRANSITIONS[STATE_BEFORE[stage], EVENT_AFTER[stage]]
        following = NEXT_STAGE[stage]

        assert after in JOB_ENDED if following is None else after == STATE_BEFORE[following]


def test_every_job_that_has_not_ended_can_fail_and_be_cancelled() -> None:
    for state in set(JobState) - JOB_ENDED:
        assert JOB_TRANSITIONS[state, JobEvent.FAILED] is JobState.FAILED
        assert JOB_TRANSITIONS[state, JobEvent.CANCELLED] is JobState.CANCELLED


def test_priority_is_never_the_engines_default_of_zero() -> None:
    assert min(Priority) == 1


@pytest.mark.parametrize(
    ("route", "requested", "expected"),
    [
        ("routine", None, Priority.ROUTINE),
        ("routine", "STAT", Priority.STAT),
        ("urgent", "LOW", Priority.URGENT),
        ("stat", "ROUTINE", Priority.STAT),
        ("routine", "nonsense", Priority.ROUTINE),
    ],
)
def test_the_more_urgent_of_route_and_request_counts(route: str, requested: str | None, expected: Priority) -> None:
    assert priority_of(route, requested) is expected


def test_every_priority_has_a_word() -> None:
    assert set(PRIORITY_WORDS.values()) == set(Priority)
