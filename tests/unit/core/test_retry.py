"""When a failure is tried again."""

from datetime import UTC, datetime, timedelta

from node.core.retry import GiveUp, TryAgain, after_send_failed, after_stage_failed

START = datetime(2026, 1, 1, tzinfo=UTC)


def stage(errors: int, crashes: int) -> TryAgain | GiveUp:
    return after_stage_failed(errors=errors, crashes=crashes, error_limit=3, crash_limit=5)


def test_errors_wait_longer_each_time_and_then_end() -> None:
    assert stage(1, 0) == TryAgain(timedelta(seconds=5))
    assert stage(2, 4) == TryAgain(timedelta(seconds=10))
    assert stage(3, 0) == GiveUp("the stage failed 3 times")


def test_crashes_are_tried_again_at_once_up_to_their_own_limit() -> None:
    assert stage(0, 4) == TryAgain(timedelta(0))
    assert stage(0, 5) == GiveUp("the process died 5 times in this stage")


def test_pauses_between_sends_double_up_to_the_longest() -> None:
    now, pauses = START, []
    for attempt in range(1, 10):
        verdict = after_send_failed(
            attempt=attempt, first_try=START, now=now, first_s=30, max_s=3600, give_up=timedelta(days=7)
        )
        assert isinstance(verdict, TryAgain)
        pauses.append(verdict.after.total_seconds())
        now += verdict.after

    assert pauses == [30, 60, 120, 240, 480, 960, 1920, 3600, 3600]


def test_a_destination_down_for_longer_than_the_limit_waits_for_a_person() -> None:
    verdict = after_send_failed(
        attempt=170, first_try=START, now=START + timedelta(days=7), first_s=30, max_s=3600, give_up=timedelta(days=7)
    )

    assert verdict == GiveUp("not delivered in 7 days and 170 tries")


def test_a_limit_of_half_a_day_is_named_as_it_is_set() -> None:
    verdict = after_send_failed(
        attempt=9, first_try=START, now=START + timedelta(days=1), first_s=30, max_s=3600, give_up=timedelta(days=0.5)
    )

    assert verdict == GiveUp("not delivered in 0.5 days and 9 tries")
