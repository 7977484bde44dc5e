"""The CPU worker: prepares and encodes, and makes what is sent beside results."""

import threading
from collections.abc import Callable

import structlog

from node.jobs.confined import warm_up
from node.jobs.rejections import Rejections
from node.jobs.replacement import Replacement
from node.jobs.stages import Stages
from node.results.code_check import doubtful_codes
from node.results.preload import load_tables
from node.service.executor import now
from node.service.renewal import Tables
from node.service.working import Body, Duties, Place, run_stages
from node.settings import Configuration
from node.state.queue import NOTICE, REJECT, REPLACE

log = structlog.get_logger()


def run_worker(
    configuration: Configuration, tables: Tables, slot: int, ready: Callable[[], None], stop: threading.Event
) -> None:
    """Work until told to stop."""
    warm_up()

    def ready_and_load() -> None:
        ready()
        threading.Thread(target=load_tables, name="load-tables", daemon=True).start()

    def duties_at(place: Place) -> Duties:
        return _duties(place, configuration.settings.jobs.decode_memory_mb)

    run_stages(configuration, tables, "worker", slot, ready_and_load, stop, duties_at)


def _duties(place: Place, decode_memory_mb: int) -> Duties:
    for name, model in place.models.items():
        for fault in doubtful_codes(model.card):
            log.warning("card-code-doubtful", model=name, fault=fault)
    ledger, queue, home, models, tables = place.ledger, place.queue, place.home, place.models, place.tables
    stages = Stages(
        ledger, queue, home, models, decode_memory_mb=decode_memory_mb, peers=tables.peers, routes=tables.routes
    )
    beside: dict[str, Body] = {
        REPLACE: Replacement(ledger, queue, home, stages, tables.peers, now).make,
        REJECT: Rejections(ledger, queue, home, models, tables.peers, now).make,
        NOTICE: lambda job_id, _run, _turn: place.notices.announce(job_id),
    }
    return Duties(stages.of_worker(), beside)
