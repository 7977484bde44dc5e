"""The service process: indexes, decides over studies, and sends; it makes the tables before anybody works on them."""

import logging
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import structlog

from node.admin.disk import EVERY_S as DISK_EVERY_S
from node.admin.gpus import EVERY_S as GPUS_EVERY_S
from node.admin.metrics import Metrics
from node.intake.door import Door
from node.intake.journal import Journal
from node.intake.stow import StowDoor, StowRequest
from node.jobs.catalogue import model_facts
from node.jobs.engine import Engine, Work, prepare_engine
from node.service.checkups import CheckUps
from node.service.clock import ServiceClock
from node.service.executor import DRAIN_S, executor_name, now
from node.service.health import LOOK_S, Parts
from node.service.heartbeat import beating
from node.service.holding import KEEP_S, Holding
from node.service.reaper import Reaper
from node.service.routed import usable_models
from node.service.web import serving_window
from node.service.window import window_of
from node.settings import Configuration
from node.state.bells import Bells
from node.state.hold import Hold
from node.state.ledger import Ledger
from node.state.owner import check_owner, take_for
from node.state.queue import Queue
from node.state.seats import Caps, Seats
from node.state.spool import Spool
from node.state.wake import ARRIVED, Wake

log = structlog.get_logger()


def run_service(
    configuration: Configuration,
    config_folder: Path,
    slot: int,
    listening: socket.socket,
    ready: Callable[[], None],
    stop: threading.Event,
    latest: Callable[[], Configuration],
) -> None:
    """The one process that indexes, decides over studies, and sends: ledger and engine tables are made here first.

    latest: the configuration with the peers and routes as they are at present.
    """
    logging.getLogger("pydicom").setLevel(logging.ERROR)  # its warnings quote values, which may name a patient
    settings = configuration.settings
    home = settings.state.home.absolute()
    ledger = Ledger(settings.state.url)
    spool = Spool(home)
    swept = spool.open() or _swept_for_new(ledger, spool)
    if not ledger.is_new() and ledger.is_ready():
        check_owner(ledger, home)
    hold, holding = Hold(ledger, home), Holding(ledger, home, stop)
    if not hold.wait(stop):
        return
    ledger.migrate()
    take_for(ledger, home)
    hold.begin()
    prepare_engine(settings.state.url)
    bells = Bells(home)
    with closing(ledger), closing(hold), closing(Queue(ledger.engine, bells)) as queue:
        models = usable_models(configuration)
        facts = model_facts(models)
        metrics = Metrics(ledger, now)
        clock = ServiceClock(configuration, ledger, queue, spool, home, facts, now, latest, metrics)
        work = Work(stages={}, deliver=holding.only(clock.deliver))
        executor, dead_after_s = executor_name("service", slot), settings.jobs.dead_after_s
        engine = Engine(settings.state.url, executor=executor, work=work, poll_s=settings.jobs.poll_s, bells=bells)
        engine.start()
        reaper = Reaper(ledger, engine.recover, dead_after_s=dead_after_s, clock=now)
        clock.every(KEEP_S, lambda: holding.keep(hold))
        clock.every(reaper.every_s, reaper.look)
        checkups = CheckUps(home, config_folder, now)
        parts = Parts(ledger, home, spool.free_mb, settings.intake.disk_reserve_mb, now)
        clock.every(LOOK_S, parts.look)
        window = window_of(
            lambda: clock.configuration,
            config_folder,
            ledger,
            queue,
            models,
            health=parts.look,
            metrics=metrics.told,
            looking=checkups,
            now=now,
        )
        clock.every(DISK_EVERY_S, window.disk.look)
        clock.every(GPUS_EVERY_S, window.gpus.look)
        with (
            beating(ledger, executor, dead_after_s),
            closing(checkups),
            _stow(lambda: clock.configuration, spool, stop) as stow,
            serving_window(listening, window, stow),
        ):
            ready()
            log.info("service-ready", swept=swept)
            clock.run(stop)
        engine.stop(DRAIN_S)
        holding.raise_lost()


def _swept_for_new(ledger: Ledger, spool: Spool) -> bool:
    """Whether the ledger is new, and so every image in the spool is to be indexed: the one that knew them was lost.

    Called before its tables are made, so that nothing is forgotten where that is interrupted.
    """
    if not ledger.is_new():
        return False
    log.info("ledger-new", why="every image in the spool is indexed")
    spool.sweep()
    return True


@contextmanager
def _stow(
    configuration: Callable[[], Configuration], spool: Spool, stop: threading.Event
) -> Iterator[Callable[[str, str, str], StowRequest | None] | None]:
    """What takes instances by STOW-RS until it is to stop, None where that is off."""
    settings = configuration().settings
    if not settings.intake.stow:
        yield None
        return
    home, intake = settings.state.home.absolute(), settings.intake
    wake, journal = Wake(home / ARRIVED), Journal(home, now)
    seats = Seats(home, Caps(intake.associations, intake.associations_per_address))
    door = Door(spool, intake, wake.ring, stop)

    def opened(token: str, address: str, study_uid: str) -> StowRequest | None:
        """By the peers as they are now."""
        return StowDoor(configuration(), door, journal, seats, now).open(token, address, study_uid)

    try:
        yield opened
    finally:
        seats.close()
        journal.close()
        wake.close()
