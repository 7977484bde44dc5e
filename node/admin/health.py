"""/live, /ready and /metrics: what load balancers, containers and monitoring ask."""

from collections.abc import Callable
from dataclasses import dataclass

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST

from node.core.parts import Part

ASKED_BY = ["GET", "HEAD"]
"""Some that watch want to know the status alone."""


@dataclass(frozen=True)
class Health:
    """What the node says of itself. ready: whether it takes studies and works on them; why: else, in words."""

    ready: bool
    why: str
    parts: tuple[Part, ...]
    disk_free_mb: int


def add_to(router: APIRouter, look: Callable[[], Health], told: Callable[[Health], bytes]) -> None:
    """The routes; `look` is asked at every request but /live. told: the metrics, in Prometheus's format."""

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
        return Response(told(look()), media_type=CONTENT_TYPE_LATEST)
