"""/live, /ready and /metrics: what load balancers, containers and monitoring ask."""

from collections.abc import Callable
from dataclasses import dataclass

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Gauge, generate_latest


@dataclass(frozen=True)
class Health:
    """What the node says of itself. ready: whether it takes studies and works on them; counts by name for metrics."""

    ready: bool
    why: str
    studies: dict[str, int]
    jobs: dict[str, int]
    deliveries: dict[str, int]
    disk_free_mb: int


def add_to(router: APIRouter, look: Callable[[], Health]) -> None:
    """The routes; `look` is asked at every request but /live."""

    @router.get("/live")
    def live() -> dict[str, str]:
        return {"status": "alive"}

    @router.get("/ready")
    def ready(response: Response) -> dict[str, str]:
        health = look()
        if not health.ready:
            response.status_code = 503
        return {"status": "ready" if health.ready else "not ready", "why": health.why}

    @router.get("/metrics")
    def metrics() -> Response:
        return Response(_metrics(look()), media_type=CONTENT_TYPE_LATEST)


def _metrics(health: Health) -> bytes:
    registry = CollectorRegistry()
    Gauge("isocenter_ready", "Whether the node takes studies and works on them.", registry=registry).set(health.ready)
    Gauge("isocenter_disk_free_megabytes", "Room left for the spool.", registry=registry).set(health.disk_free_mb)
    for noun, counts in (("studies", health.studies), ("jobs", health.jobs), ("deliveries", health.deliveries)):
        gauge = Gauge(f"isocenter_{noun}", f"How many {noun} are in each state.", ["state"], registry=registry)
        for state, count in counts.items():
            gauge.labels(state=state).set(count)
    return generate_latest(registry)
