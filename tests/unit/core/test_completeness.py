"""When a study counts as complete."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from node.core.completeness import ASSOCIATION_GRACE, Activity, Complete, GatheringPolicy, Wait, decide

START = datetime(2026, 1, 1, 12, tzinfo=UTC)
POLICY = GatheringPolicy(timedelta(seconds=10), timedelta(minutes=15), timedelta(hours=4))
SEEN = Activity(first_at=START, last_at=START, association_open=False, pending=False, ordered=False)


def after(**span: float) -> datetime:
    return START + timedelta(**span)


def test_it_waits_until_the_quiet_time_is_over() -> None:
    assert decide(SEEN, POLICY, after(seconds=9)) == Wait(after(seconds=10))


def test_quiet_time_over_is_complete() -> None:
    assert decide(SEEN, POLICY, after(seconds=10)) == Complete("quiet for 10 s", incomplete=False)


def test_an_open_association_extends_the_quiet_time_but_not_for_ever() -> None:
    seen = replace(SEEN, association_open=True)
    end = after(seconds=10) + ASSOCIATION_GRACE

    assert decide(seen, POLICY, after(seconds=11)) == Wait(end)
    assert isinstance(decide(seen, POLICY, end), Complete)


def test_the_cap_since_the_last_image_makes_it_incomplete() -> None:
    slow = replace(POLICY, quiet=timedelta(hours=1))

    assert decide(SEEN, slow, after(minutes=15)) == Complete("15 min since its last image", incomplete=True)


def test_the_absolute_cap_ends_a_study_that_never_rests() -> None:
    seen = replace(SEEN, last_at=after(hours=4, seconds=-1))

    assert decide(seen, POLICY, after(hours=4)) == Complete("4.0 h since its first image", incomplete=True)


def test_nothing_is_decided_while_instances_wait_to_be_indexed() -> None:
    seen = replace(SEEN, pending=True, ordered=True)

    assert isinstance(decide(seen, POLICY, after(hours=9)), Wait)


def test_an_operator_does_not_wait() -> None:
    assert decide(replace(SEEN, ordered=True), POLICY, START) == Complete("an operator completed it", incomplete=False)


def test_a_wait_never_exceeds_the_caps() -> None:
    seen = replace(SEEN, last_at=after(hours=3, minutes=59, seconds=55), association_open=True)

    assert decide(seen, POLICY, after(hours=3, minutes=59, seconds=56)) == Wait(after(hours=4))
