"""What every process that takes work needs: its stable name, the present, and how long it may drain."""

from datetime import UTC, datetime

from node.core.parts import executor_of
from node.service.locks import host_name

DRAIN_S = 25
"""Shorter than the supervisor's patience, so that a process ends by itself."""


def executor_name(role: str, slot: int) -> str:
    """A stable name: a process that comes back under it takes up what it left. service.locks keeps it single."""
    return executor_of(host_name(), role, slot)


def now() -> datetime:
    """The present, in UTC."""
    return datetime.now(UTC)
