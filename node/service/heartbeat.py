"""Gives a process's signs of life, from a thread of its own: whatever the process computes, they go on."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import structlog

from node.errors import LedgerUnusable
from node.service.executor import now
from node.state.heartbeats import beat
from node.state.ledger import Ledger

log = structlog.get_logger()

BEATS_PER_LIMIT = 6
"""So many signs are given in the time after which a process is taken for dead: a few may be lost."""


@contextmanager
def beating(ledger: Ledger, executor: str, dead_after_s: float) -> Iterator[None]:
    """Give signs of life until the block is left; the first one before it is entered."""
    stop = threading.Event()
    _beat(ledger, executor)
    pause_s = dead_after_s / BEATS_PER_LIMIT
    thread = threading.Thread(
        target=_keep_beating, args=(ledger, executor, pause_s, stop), name="heartbeat", daemon=True
    )
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _keep_beating(ledger: Ledger, executor: str, pause_s: float, stop: threading.Event) -> None:
    while not stop.wait(pause_s):
        try:
            _beat(ledger, executor)
        except LedgerUnusable as error:
            log.warning("heartbeat-failed", why=str(error))


def _beat(ledger: Ledger, executor: str) -> None:
    with ledger.write() as connection:
        beat(connection, executor, now())
