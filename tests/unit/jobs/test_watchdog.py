"""A stage that takes too long ends its process; what it waits for does not count."""

import ctypes
import multiprocessing
import time
from collections.abc import Callable

from node.jobs import watchdog
from node.jobs.watchdog import EXIT_CODE, Watchdog

FORK = multiprocessing.get_context("fork")
LIMIT_S = 1.0


def works() -> None:
    with Watchdog(LIMIT_S, lambda _limit: None):
        time.sleep(60)


def waits() -> None:
    dog = Watchdog(LIMIT_S, lambda _limit: None)
    with dog, dog.paused():
        time.sleep(1.5 * LIMIT_S)


def works_after_waiting() -> None:
    dog = Watchdog(LIMIT_S, lambda _limit: None)
    with dog:
        with dog.paused():
            pass
        time.sleep(60)


def holds_pythons_lock() -> None:
    watchdog.LAST_RESORT_S = 0.5
    with Watchdog(LIMIT_S, lambda _limit: None):
        with Watchdog(60, lambda _limit: None):
            pass  # another one's end leaves this one's clock as it is
        ctypes.PyDLL(None).pause()


def exit_code(body: Callable[[], None]) -> int | None:
    process = FORK.Process(target=body, daemon=True)
    process.start()
    process.join(30)
    return process.exitcode


def test_what_takes_too_long_ends_its_process() -> None:
    assert exit_code(works) == EXIT_CODE


def test_waiting_for_another_stage_counts_to_nobody() -> None:
    assert exit_code(waits) == 0


def test_after_waiting_the_time_goes_on() -> None:
    assert exit_code(works_after_waiting) == EXIT_CODE


def test_native_code_that_lets_no_thread_run_is_ended_too() -> None:
    assert exit_code(holds_pythons_lock) == 1
