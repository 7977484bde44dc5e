"""What a node says of itself to another process on the same machine."""

import json
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from node.core.parts import Kind, Process
from node.errors import LedgerUnusable
from node.service.asking import why_not_ready
from node.service.locks import TOLD, claimed
from node.settings import Configuration
from node.state.counts import queue_lengths
from node.state.disk import free_mb
from node.state.ledger import Ledger


@dataclass(frozen=True)
class NodeStatus:
    """What `isocenter status` shows."""

    ready: bool
    why: str
    processes: tuple[Process, ...]
    queues: dict[str, int]
    disk_free_mb: int

    def as_json(self) -> dict[str, object]:
        """The names that others depend on (design section 8)."""
        return {
            "ready": self.ready,
            "why": self.why,
            "processes": [{**vars(one), "since": one.since.isoformat()} for one in self.processes],
            "queues": self.queues,
            "disk_free_mb": self.disk_free_mb,
        }


def read_status(configuration: Configuration) -> NodeStatus:
    """The node's state from its home: who runs, what waits, what room is left."""
    state = configuration.settings.state
    home = state.home.absolute()
    processes = running_processes(home)
    queues: dict[str, int] = {}
    if state.database_url or (home / "ledger.sqlite").exists():
        with closing(Ledger(state.url)) as ledger, suppress(LedgerUnusable):  # the service says why
            if ledger.is_ready():
                with ledger.read() as connection:
                    queues = queue_lengths(connection)
    begun = next(one for one in (home / "spool", home, *home.parents) if one.exists())  # where a node's files will lie
    return NodeStatus(not (why := _why_not(processes, configuration)), why, processes, queues, free_mb(begun))


def _why_not(processes: tuple[Process, ...], configuration: Configuration) -> str:
    """Why the node does not work; empty where it does."""
    if not processes:
        return "no node runs in this home"
    starting = [f"{one.role} {one.slot} is {one.state}" for one in processes if one.state != "ready"]
    if starting or not any(one.role == "service" for one in processes):
        return ", ".join(starting)
    return why_not_ready(configuration.settings.admin)


def running_processes(home: Path) -> tuple[Process, ...]:
    """The processes of every supervisor that runs in this home, on whichever host."""
    return tuple(_process(one) for told in _told(home) for one in told["processes"])


def running_supervisors(home: Path) -> tuple[Process, ...]:
    """These supervisors themselves."""
    own = {"role": Kind.SUPERVISOR.value, "slot": 0, "state": "ready"}
    return tuple(_process({**own, **{name: told[name] for name in ("host", "pid", "since")}}) for told in _told(home))


def _told(home: Path) -> Iterator[dict[str, Any]]:
    """What each of them tells."""
    for folder in claimed(home):
        with suppress(FileNotFoundError):  # it has just begun
            yield json.loads((folder / TOLD).read_text())


def _process(one: dict[str, Any]) -> Process:
    return Process(**{**one, "since": datetime.fromisoformat(one["since"])})
