"""Stages run beside each other; one whose process died runs alone, so that no other can be what ends it."""

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest

from node.jobs.company import Company

LIMIT_S = 20.0


class Stage:
    """A stage in a thread of its own, which stays where it is until it is let go."""

    def __init__(self, enter: Callable[[], AbstractContextManager[None]]) -> None:
        self.is_running, self._go = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, args=(enter,), daemon=True)
        self._thread.start()

    def _run(self, enter: Callable[[], AbstractContextManager[None]]) -> None:
        with enter():
            self.is_running.set()
            assert self._go.wait(LIMIT_S)

    def begins(self) -> bool:
        return self.is_running.wait(LIMIT_S)

    def waits(self) -> bool:
        return not self.is_running.wait(0.1)

    def end(self) -> None:
        self._go.set()
        self._thread.join(LIMIT_S)


def test_stages_run_beside_each_other() -> None:
    company = Company()
    one, other = Stage(company.beside), Stage(company.beside)

    assert one.begins()
    assert other.begins()
    one.end()
    other.end()


def test_one_that_is_alone_waits_for_the_others_and_they_for_it() -> None:
    company = Company()
    first = Stage(company.beside)
    assert first.begins()
    alone = Stage(company.alone)
    assert alone.waits()
    later = Stage(company.beside)
    assert later.waits()

    first.end()
    assert alone.begins()
    assert later.waits()
    alone.end()
    assert later.begins()
    later.end()


def test_two_that_are_alone_follow_each_other() -> None:
    company = Company()
    one = Stage(company.alone)
    assert one.begins()
    other = Stage(company.alone)
    assert other.waits()

    one.end()
    assert other.begins()
    other.end()


def test_a_stage_that_fails_keeps_nobody_waiting() -> None:
    company = Company()
    for enter in (company.beside, company.alone):
        with pytest.raises(ValueError, match="it failed"), enter():
            raise ValueError("it failed")
    later = Stage(company.alone)

    assert later.begins()
    later.end()
