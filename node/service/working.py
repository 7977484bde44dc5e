"""What the processes that do stages have in common: their part of the ledger, the models, and the engine's calls."""

import logging
import os
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from ai.contract import Model
from node.core.job import Stage
from node.errors import LedgerUnusable
from node.jobs.engine import Engine, Work
from node.jobs.inference import Inference
from node.jobs.notices import Notices
from node.jobs.runner import Runner, StageWork
from node.service.executor import DRAIN_S, executor_name, now
from node.service.heartbeat import beating
from node.service.holding import Holding
from node.service.renewal import Tables
from node.service.routed import usable_models
from node.settings import Configuration
from node.state.bells import Bells
from node.state.hold import check_tenure
from node.state.ledger import Ledger
from node.state.owner import check_owner
from node.state.queue import Queue

log = structlog.get_logger()

LEDGER_WAIT_S = 60.0

Body = Callable[[str, int, int], None]
"""What the engine calls with a job, its run, and how often it was tried."""


@dataclass(frozen=True)
class Place:
    """What a process that does stages works with."""

    ledger: Ledger
    queue: Queue
    home: Path
    tables: Tables
    models: Mapping[str, Model]
    notices: Notices


@dataclass(frozen=True)
class Duties:
    """What a process does. beside: what else the engine may call, by its queue."""

    stages: Mapping[Stage, StageWork]
    beside: Mapping[str, Body] = field(default_factory=dict)
    inference: Inference | None = None


def run_stages(
    configuration: Configuration,
    tables: Tables,
    role: str,
    slot: int,
    ready: Callable[[], None],
    stop: threading.Event,
    duties_at: Callable[[Place], Duties],
    renew: Callable[[], None] = lambda: None,
) -> None:
    """Do a role's duties until told to stop. renew: ends the process at once, to be started again."""
    logging.getLogger("pydicom").setLevel(logging.ERROR)  # its warnings quote values, which may name a patient
    settings = configuration.settings
    home = settings.state.home.absolute()
    executor = executor_name(role, slot)
    ledger = Ledger(settings.state.url)
    holding = Holding(ledger, home, stop)
    _wait_for(ledger, home, stop)
    models = usable_models(configuration)
    bells = Bells(home)
    with closing(ledger), closing(Queue(ledger.engine, bells)) as queue:
        notices = Notices(ledger, queue, home, models, tables.peers, now)
        duties = duties_at(Place(ledger, queue, home, tables, models, notices))
        inference = duties.inference
        runner = Runner(
            ledger,
            queue,
            home=home,
            executor=executor,
            limits=settings.jobs,
            stages=duties.stages,
            clock=now,
            unanalysed=notices.announce,
            growth=None if inference is None else inference.growth,
            renew=renew,
            printed=os.environ.get("ISOCENTER_PRINTED", ""),
        )
        bodies = {stage.value: _body(runner, stage) for stage in duties.stages} | dict(duties.beside)
        bodies = {name: holding.only(body) for name, body in bodies.items()}
        poll_s = settings.jobs.poll_s
        engine = Engine(settings.state.url, executor=executor, work=Work(stages=bodies), poll_s=poll_s, bells=bells)
        with beating(ledger, executor, settings.jobs.dead_after_s):
            engine.start()
            ready()
            stop.wait()
            engine.stop(DRAIN_S)
        if inference is not None:
            inference.close()
        holding.raise_lost()


def _body(runner: Runner, stage: Stage) -> Body:
    return lambda job_id, run, turn: runner.run(stage, job_id, run, turn)


def _wait_for(ledger: Ledger, home: Path, stop: threading.Event) -> None:
    """Wait for the tables, which the service process makes. Raises ConfigurationInvalid for another home's,
    AlreadyRunning where a copy of this home has taken the ledger over."""
    deadline = time.monotonic() + LEDGER_WAIT_S
    while time.monotonic() < deadline:
        with suppress(LedgerUnusable):
            if ledger.is_ready():
                check_owner(ledger, home)
                check_tenure(ledger, home)
                return
        if stop.wait(0.1):
            return
