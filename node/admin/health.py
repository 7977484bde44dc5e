"""/live, /ready and /metrics: what load balancers, containers and monitoring ask."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Gauge, generate_latest

from node.core.parts import Part
from node.errors import LedgerUnusable
from node.state.counts import count_states
from node.state.ledger import Ledger

ASKED_BY = ["GET", "HEAD"]
"""Some that watch want to know the status alone."""


@dataclass(frozen=True)
class Health:
    """What the node says of itself. ready: whether it takes studies and works on them; why: else, in words."""

    ready: bool
    why: str
    parts: tuple[Part, ...]
    disk_free_mb: int


def add_to(router: APIRouter, look: Callable[[], Health], ledger: Ledger) -> None:
    """The routes; `look` is asked at every request but /live."""

    @router.api_route("/live", methods=ASKED_BY)
    def live() -> dict[str, str]:
        return {"status": "alive"}

    @router.api_route("/ready", methods=ASKED_BY)
    def ready(response: Response) -> dict[str, str]:
        health = look()
        if not health.ready:
            response.status_code = 503
        return {"status": "ready" if health.ready else "not ready", "why": health.why}

    @router.get("/metrics")
    def metrics() -> Response:
        return Response(_metrics(look(), _counted(ledger)), media_type=CONTENT_TYPE_LATEST)


def _counted(ledger: Ledger) -> dict[str, dict[str, int]]:
    """How much is in each state; nothing where the ledger cannot be read, which isocenter_part_works tells."""
    try:
        with ledger.read() as connection:
            return count_states(connection)
    except LedgerUnusable:
        return {}


def _metrics(health: Health, counts: Mapping[str, Mapping[str, int]]) -> bytes:
    registry = CollectorRegistry()
    Gauge("isocenter_ready", "Whether the node takes studies and works on them.", registry=registry).set(health.ready)
    Gauge("isocenter_disk_free_megabytes", "Room left for the spool.", registry=registry).set(health.disk_free_mb)
    works = Gauge("isocenter_part_works", "Whether a part of the node works.", ["part", "host"], registry=registry)
    for one in health.parts:
        works.labels(part=one.name, host=one.host).set(one.works)
    for noun, states in counts.items():
        gauge = Gauge(f"isocenter_{noun}", f"How many {noun} are in each state.", ["state"], registry=registry)
        for state, number in states.items():
            gauge.labels(state=state).set(number)
    return generate_latest(registry)
