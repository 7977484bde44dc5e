"""The engine that runs what is queued: the only module that knows how DBOS executes a workflow."""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import structlog
from dbos import DBOS, DBOSConfig, DBOSPortableJSONSerializer

from node.errors import LedgerUnusable, NotFound
from node.jobs.alarm import Alarm
from node.jobs.library_log import take_over_log
from node.state.bells import Bells
from node.state.database import RECYCLE_S
from node.state.ledger import in_words
from node.state.postgres import ENGINES
from node.state.queue import DELIVER, PROTOCOL, QUEUE_OF

log = structlog.get_logger()

UNABLE = "the engine cannot start on the ledger's database"

LEDGER_PAUSE_S = 2.0
RECOVERY_LIMIT = 1000
"""Attempts are counted in the ledger, where an operator sees them; the engine's own limit must never be met first."""

WORKER_CONCURRENCY: dict[str, int | None] = {
    "cpu": 1,  # Python threads share one interpreter: more processes, not more threads
    "model": 2,  # one computes while the next is loaded; the device has a lock
    "deliver": None,  # one line per destination, below: one that hangs delays no other
}


@dataclass(frozen=True)
class Work:
    """What this process does: the body of each workflow it may be handed, by the workflow's name."""

    stages: Mapping[str, Callable[[str, int, int], None]]
    """name of a stage, or of a task beside the stages → body(job id, run, turn)"""
    deliver: Callable[[str, int], None] | None = None
    """body(delivery id, attempt)"""

    @property
    def queues(self) -> Sequence[str]:
        names = [*self.stages, *([DELIVER] if self.deliver else [])]
        return sorted({QUEUE_OF[name] for name in names})


def prepare_engine(url: str) -> None:
    """Make or update the engine's own tables; done once, before any process starts an engine. Raises LedgerUnusable."""
    take_over_log()
    config = _config(url, "isocenter-setup", migrate=True)
    try:
        with in_words(UNABLE):
            DBOS(config=config)
            DBOS.listen_queues([])
            DBOS.launch()
    finally:
        DBOS.destroy(destroy_registry=True)


class Engine:
    """One process's share of the work. A process has one; `executor` is stable and held by one process at a time.

    bells: of the home, so that what is enqueued on this host is begun at once; poll_s: how often to look without one.
    """

    def __init__(self, url: str, *, executor: str, work: Work, poll_s: float, bells: Bells) -> None:
        self._work = work
        self._poll_s = poll_s
        self._alarm = Alarm([bells.hang(name, executor) for name in work.queues])
        self._running = _Running(self._alarm.free)
        take_over_log()
        self._dbos = DBOS(config=_config(url, executor, migrate=False))
        for name, body in work.stages.items():
            DBOS.workflow(name=name, max_recovery_attempts=RECOVERY_LIMIT)(_stage_workflow(body, self._running))
        if work.deliver is not None:
            delivery = _delivery_workflow(work.deliver, self._running)
            DBOS.workflow(name=DELIVER, max_recovery_attempts=RECOVERY_LIMIT)(delivery)

    def start(self) -> None:
        """Begin to take work; what this executor left unfinished when it died is taken up again.

        Raises LedgerUnusable.
        """
        DBOS.listen_queues(self._work.queues)
        with in_words(UNABLE):
            DBOS.launch()
            for name in self._work.queues:
                DBOS.register_queue(
                    name,
                    polling_interval_sec=self._poll_s,
                    on_conflict="always_update",
                    worker_concurrency=WORKER_CONCURRENCY[name],
                    partition_worker_concurrency=1 if name == QUEUE_OF[DELIVER] else None,
                )
        for event in self._dbos.background_thread_stop_events:
            # Its threads wait for the next look on the event that ends them: the library has no other way to wake one.
            event.wait = partial(self._alarm.wait, event)  # type: ignore[method-assign]
        self._alarm.start()

    @staticmethod
    def recover(executor: str) -> int:
        """Put what another executor left unfinished back into the queues; returns how much that was.

        Harmless where that one lives, or when done twice: it concerns what stands under the dead one's name alone, and
        the ledger adopts one result. The public call of that kind restarts the engine's count of recoveries each time.
        """
        return len(DBOS._recover_pending_workflows([executor]))  # noqa: SLF001

    def stop(self, drain_s: int) -> None:
        """Take no more work, and wait so long for what runs; the rest is taken up again at the next start.

        The engine's own wait looks once a second, and not at all before one has passed: an idle process ends at once.
        """
        for event in self._dbos.background_thread_stop_events:
            event.set()
        self._alarm.stop()
        self._running.wait_until_idle(drain_s)
        DBOS.destroy(workflow_completion_timeout_sec=0, destroy_registry=True)


class _Running:
    """Runs bodies, and knows how many run at this moment. ended: called after each."""

    def __init__(self, ended: Callable[[], None]) -> None:
        self._ended = ended
        self._count = 0
        self._changed = threading.Condition()
        self._stopping = threading.Event()

    def do(self, body: Callable[[], None]) -> None:
        """Run a body until the ledger takes what it says, or the process stops. Every body may run twice; the engine's
        tables lie beside ours, and what ended in an error while they cannot be written would be stranded."""
        with self._counted():
            while True:
                try:
                    return body()
                except NotFound as error:  # its study was erased while it waited: a fault of nobody
                    log.info("work-without-subject", why=str(error))
                    return None
                except LedgerUnusable as error:
                    log.warning("ledger-unusable", why=str(error))
                    if self._stopping.wait(LEDGER_PAUSE_S):
                        raise

    @contextmanager
    def _counted(self) -> Iterator[None]:
        with self._changed:
            self._count += 1
        try:
            yield
        finally:
            with self._changed:
                self._count -= 1
                self._changed.notify_all()
            self._ended()

    def wait_until_idle(self, limit_s: float) -> None:
        self._stopping.set()
        with self._changed:
            self._changed.wait_for(lambda: self._count == 0, limit_s)


def _stage_workflow(body: Callable[[str, int, int], None], running: _Running) -> Callable[[str, int, int], None]:
    def workflow(job_id: str, run: int, turn: int) -> None:
        running.do(lambda: body(job_id, run, turn))

    return workflow


def _delivery_workflow(body: Callable[[str, int], None], running: _Running) -> Callable[[str, int], None]:
    def workflow(delivery_id: str, attempt: int) -> None:
        running.do(lambda: body(delivery_id, attempt))

    return workflow


def _engine_settings(url: str) -> dict[str, Any]:
    """How the engine opens connections. It has PostgreSQL's defaults otherwise, and what was set for the role."""
    connection = {"connect_args": ENGINES} if url.startswith("postgresql") else {}
    return {"pool_recycle": RECYCLE_S, **connection}


def _config(url: str, executor: str, *, migrate: bool) -> DBOSConfig:
    return {
        "name": "isocenter",
        "system_database_url": url,
        "executor_id": executor,
        "application_version": PROTOCOL,
        "serializer": DBOSPortableJSONSerializer(),
        "db_engine_kwargs": _engine_settings(url),
        "run_migrations": migrate,
        "log_level": "WARNING",
        "scheduler_polling_interval_sec": 3600.0,
        "notification_listener_polling_interval_sec": 0.2,  # stopping waits for it
    }
