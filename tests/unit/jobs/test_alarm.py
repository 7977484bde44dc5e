"""Waits that bells cut short."""

import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from node.jobs.alarm import LONGEST_S, Alarm
from node.state.bells import Bells

LONG_S = 30.0


@pytest.fixture
def bells(tmp_path: Path) -> Bells:
    return Bells(tmp_path)


@pytest.fixture
def alarm(bells: Bells) -> Iterator[Alarm]:
    made = Alarm([bells.hang("cpu", "w0")])
    made.start()
    yield made
    made.stop()


def test_a_wait_ends_when_the_bell_is_rung(alarm: Alarm, bells: Bells) -> None:
    stop, began = threading.Event(), time.monotonic()
    threading.Timer(0.1, bells.ring, ("cpu",)).start()

    assert not alarm.wait(stop, LONG_S)
    assert time.monotonic() - began < LONG_S / 2


def test_a_ring_while_a_thread_looks_is_not_lost(alarm: Alarm) -> None:
    stop, began = threading.Event(), time.monotonic()
    alarm.wait(stop, 0)
    alarm.ring()

    assert not alarm.wait(stop, LONG_S)
    assert time.monotonic() - began < LONG_S / 2


def test_a_ring_ends_one_wait_of_each_thread(alarm: Alarm) -> None:
    stop = threading.Event()
    alarm.wait(stop, 0)
    alarm.ring()
    alarm.wait(stop, LONG_S)

    began = time.monotonic()
    assert not alarm.wait(stop, 0.2)
    assert time.monotonic() - began > 0.15


def test_a_process_looks_again_soon_after_it_became_free(alarm: Alarm) -> None:
    stop, began = threading.Event(), time.monotonic()
    alarm.wait(stop, 0)
    alarm.free()

    assert not alarm.wait(stop, LONG_S)
    assert time.monotonic() - began < LONG_S / 2


def test_stop_ends_waits(bells: Bells) -> None:
    alarm, stop = Alarm([bells.hang("cpu", "w0")]), threading.Event()
    alarm.start()
    stop.set()
    threading.Timer(0.1, alarm.stop).start()

    assert alarm.wait(stop, LONG_S)


def test_a_wait_for_something_else_is_left_alone(alarm: Alarm) -> None:
    stop = threading.Event()
    alarm.ring()
    threading.Timer(0.1, stop.set).start()

    assert alarm.wait(stop, LONGEST_S + 1)


@pytest.mark.parametrize("timeout", [None, LONGEST_S + 1])
def test_an_event_whose_wait_is_the_alarms_waits_for_something_else_too(alarm: Alarm, timeout: float | None) -> None:
    """As the engine's events are made to: a thread of the engine's own ended in a wait that called itself."""
    stop = threading.Event()
    stop.wait = partial(alarm.wait, stop)
    threading.Timer(0.1, stop.set).start()

    assert stop.wait(timeout)
