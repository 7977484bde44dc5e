"""The processes that do the stages: CPU workers, and the model worker."""

import logging
import os
import threading
import time
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

import structlog

from ai.device import Device, best_device
from ai.networks.model import NetworkModel
from ai.networks.running import import_torch
from node.core.job import Stage
from node.errors import LedgerUnusable
from node.jobs.audited import Audited
from node.jobs.confined import warm_up
from node.jobs.engine import Engine, Work
from node.jobs.inference import Inference
from node.jobs.notices import Notices
from node.jobs.rejections import Rejections
from node.jobs.replacement import Replacement
from node.jobs.runner import Runner, StageWork
from node.jobs.stages import Stages
from node.results.code_check import doubtful_codes
from node.results.preload import load_tables
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
from node.state.queue import NOTICE, REJECT, REPLACE, Queue

log = structlog.get_logger()

LEDGER_WAIT_S = 60.0


def run_worker(
    configuration: Configuration, tables: Tables, slot: int, ready: Callable[[], None], stop: threading.Event
) -> None:
    """A CPU worker: prepares and encodes."""
    warm_up()

    def ready_and_load() -> None:
        ready()
        threading.Thread(target=load_tables, name="load-tables", daemon=True).start()

    _run_stages(configuration, tables, "worker", slot, ready_and_load, stop, lambda stages: stages.of_worker())


def run_model(
    configuration: Configuration,
    tables: Tables,
    slot: int,
    ready: Callable[[], None],
    stop: threading.Event,
    renew: Callable[[], None],
    check_process: Callable[[], None],
) -> None:
    """A model worker: keeps models warm and predicts. renew: ends the process at once, to be started again.
    check_process: ends it as at a death where a model has closed its line to the supervisor."""
    routed = {route.model for route in configuration.routes if route.enabled}
    if any(isinstance(model, NetworkModel) for model in usable_models(configuration, routed).values()):
        import_torch()  # takes seconds, which no job's time should hold
    _run_stages(
        configuration, tables, "model", slot, ready, stop, lambda stages: stages.of_model(), renew, check_process
    )


def _run_stages(
    configuration: Configuration,
    tables: Tables,
    role: str,
    slot: int,
    ready: Callable[[], None],
    stop: threading.Event,
    choose: Callable[[Stages], dict[Stage, StageWork]],
    renew: Callable[[], None] = lambda: None,
    check_process: Callable[[], None] = lambda: None,
) -> None:
    logging.getLogger("pydicom").setLevel(logging.ERROR)  # its warnings quote values, which may name a patient
    settings = configuration.settings
    home = settings.state.home.absolute()
    executor = executor_name(role, slot)
    ledger = Ledger(settings.state.url)
    holding = Holding(ledger, home, stop)
    _wait_for(ledger, home, stop)
    models = usable_models(configuration)
    for name, model in models.items():
        for fault in doubtful_codes(model.card):
            log.warning("card-code-doubtful", model=name, fault=fault)
    audited = {name: Audited(one) for name, one in models.items()}
    inference = None
    if role == "model":
        inference = Inference(audited, _device(settings.node.model_device, slot), check_process)
    bells = Bells(home)
    with closing(ledger), closing(Queue(ledger.engine, bells)) as queue:
        memory_mb = settings.jobs.decode_memory_mb
        stages = Stages(
            ledger,
            queue,
            home,
            models,
            decode_memory_mb=memory_mb,
            peers=tables.peers,
            routes=tables.routes,
            inference=inference,
        )
        chosen = choose(stages)
        notices = Notices(ledger, queue, home, models, tables.peers, now)
        runner = Runner(
            ledger,
            queue,
            home=home,
            executor=executor,
            limits=settings.jobs,
            stages=chosen,
            clock=now,
            unanalysed=notices.announce,
            growth=None if inference is None else inference.growth,
            renew=renew,
            printed=os.environ.get("ISOCENTER_PRINTED", ""),
        )
        bodies = {stage.value: _body(runner, stage) for stage in chosen}
        if Stage.ENCODE in chosen:
            bodies[REPLACE] = Replacement(ledger, queue, home, stages, tables.peers, now).make
            bodies[REJECT] = Rejections(ledger, queue, home, models, tables.peers, now).make
            bodies[NOTICE] = lambda job_id, _run, _turn: notices.announce(job_id)
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


def _device(wanted: str, slot: int) -> Device:
    """What this model worker computes on."""
    processor = Device(threads=os.cpu_count() or 1)
    return processor if wanted == "cpu" else best_device(slot, processor)


def _body(runner: Runner, stage: Stage) -> Callable[[str, int, int], None]:
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
