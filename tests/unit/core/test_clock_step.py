"""A clock that somebody sets is told from one that runs, fast or slow."""

from datetime import timedelta

import pytest

from node.core.clock_step import LONG_AGO, NO_STEP, Steady, StepWatch
from tests.makers.ledger import START, TurnedClock


@pytest.mark.parametrize("hours", [1, -1])
def test_a_step_is_told_once(hours: int) -> None:
    clock = TurnedClock()
    watch = StepWatch(clock, clock.steady)
    clock.forward(seconds=5)
    before = watch.look()
    clock.set_by(hours=hours)
    clock.forward(seconds=5)

    assert [before, watch.look(), watch.look()] == [NO_STEP, timedelta(hours=hours), NO_STEP]


def test_a_clock_that_is_slewed_or_a_machine_that_slept_is_no_step() -> None:
    clock = TurnedClock()
    watch = StepWatch(clock, clock.steady)
    clock.set_by(seconds=20)
    slewed = watch.look()
    clock.forward(days=2)

    assert (slewed, watch.look()) == (NO_STEP, NO_STEP)


def test_a_clock_that_leaps_ahead_is_steady_from_then_on() -> None:
    """Also from years behind to the right time; one that is set back makes nothing old."""
    hourly = [Steady(START)]
    for hours in range(1, 4):
        hourly.append(hourly[-1].at(START + timedelta(hours=hours)))
    ahead = hourly[-1].at(START + timedelta(days=365))
    later = ahead.at(START + timedelta(days=365, hours=1))
    back = later.at(START + timedelta(hours=4))

    assert {one.since for one in hourly} == {LONG_AGO}
    assert ahead.since == later.since == START + timedelta(days=365)
    assert back.since == back.looked_at == START + timedelta(hours=4)


def test_a_node_that_was_off_for_a_holiday_goes_on_as_before() -> None:
    """One that is off each weekend would keep everything for ever, if its clock counted as set ahead each Monday."""
    seen = Steady(START).at(START + timedelta(days=3)).at(START + timedelta(days=12))

    assert seen.since == LONG_AGO
