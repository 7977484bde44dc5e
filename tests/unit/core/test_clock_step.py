"""A clock that somebody sets is told from one that runs, fast or slow."""

from datetime import timedelta

import pytest

from node.core.clock_step import NO_STEP, StepWatch
from tests.makers.ledger import TurnedClock


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
