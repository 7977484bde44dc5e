"""What the service tells of each part: to people on two pages, to load balancers and to monitoring."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from node.core.role import Role
from node.service.executor import executor_name
from node.service.health import Parts
from node.service.locks import TOLD, claim, host_name
from node.state.heartbeats import beat, pulses, take_for_dead
from tests.makers.window import Opened, opened

THEN = datetime(2026, 3, 1, 12, tzinfo=UTC)
ROLES = ("receiver", "service", "worker", "model")


@dataclass
class Node:
    """A home in which a supervisor says what is told here, and the window on it."""

    folder: Path
    seen: Opened
    free_mb: int = 10_000

    def tell(self, **states: str) -> None:
        rows = [
            {
                "host": host_name(), "role": role, "slot": 0, "pid": 7, "state": states.get(role, "ready"),
                "since": (THEN + timedelta(minutes=5 * (role in states))).isoformat(),
            }
            for role in ROLES
        ]  # fmt: skip
        told = {"pid": 6, "host": host_name(), "since": THEN.isoformat(), "processes": rows}
        (self.folder / TOLD).write_text(json.dumps(told))


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    with opened(tmp_path) as found, claim(tmp_path, ["receiver", "service"]) as folder:
        made = Node(folder, found)
        parts = Parts(found.books.ledger, tmp_path, lambda: made.free_mb, 2048, found.window.now)
        made.seen = replace(found, window=replace(found.window, look=parts.look))
        made.tell()
        yield made


def ready(node: Node) -> tuple[int, str]:
    answer = node.seen.stranger().get("/ready")
    return answer.status_code, answer.json()["why"]


def metric(node: Node, part: str) -> float:
    lines = node.seen.stranger().get("/metrics").text.splitlines()
    (found,) = [one for one in lines if one.startswith("isocenter_part_works") and f'part="{part}"' in one]
    return float(found.split()[-1])


def test_a_sound_node_is_ready_and_shows_every_part(node: Node) -> None:
    page = node.seen.user(Role.VIEWER).see("/system")

    assert ready(node) == (200, "")
    assert [metric(node, one) for one in ("receiver 1", "disk", "database", "supervisor")] == [1, 1, 1, 1]
    for name in ("supervisor", "receiver 1", "service 1", "worker 1", "model 1", "disk", "database"):
        assert f"<td>{name}</td>" in page
    assert "9.8 GB are free for studies" in page
    assert "SQLite, answered in" in page


@pytest.mark.parametrize("role", ["receiver", "worker", "model"])
def test_a_process_that_ended_makes_the_node_not_ready(node: Node, role: str) -> None:
    node.tell(**{role: "waiting"})
    browser = node.seen.user(Role.VIEWER)

    assert ready(node)[0] == 503
    assert ready(node)[1].startswith(f"{role} 1 is waiting: ")
    assert metric(node, f"{role} 1") == 0
    assert "is started again by itself" in browser.see("/system")
    assert (THEN + timedelta(minutes=5)).astimezone().strftime("%H:%M:%S") in browser.see("/system")
    assert f"{role.capitalize()} 1 is waiting" in browser.see("/")


def test_a_process_that_hangs_is_told_by_its_missing_signs_of_life(node: Node) -> None:
    ledger = node.seen.books.ledger
    with ledger.write() as connection:
        beat(connection, executor_name("worker", 0), THEN)
        take_for_dead(connection, pulses(connection)[0])
    assert ready(node)[1].startswith("worker 1 is silent")

    with ledger.write() as connection:
        beat(connection, executor_name("worker", 0), THEN)
    assert ready(node) == (200, "")


def test_it_is_known_since_when_the_disk_is_full(node: Node) -> None:
    clock = node.seen.books.clock
    node.seen.window.look()
    clock.forward(minutes=1)
    node.free_mb, since = 2000, clock()
    first = node.seen.window.look()
    clock.forward(minutes=1)
    (disk,) = [one for one in node.seen.window.look().parts if one.name == "disk"]

    assert "only 2000 MB of disk are free" in first.why
    assert (disk.works, disk.since) == (False, since)


def test_without_its_supervisor_nothing_is_started_again_and_that_is_said(node: Node) -> None:
    (node.folder / TOLD).unlink()

    assert "Supervisor is absent" in node.seen.user(Role.VIEWER).see("/")
    assert ready(node)[1].startswith("receiver is absent")


def test_a_database_that_does_not_answer_is_told_before_who_watches_gives_up(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is asked once, however many want to know, and believed again as soon as it answers."""
    ledger, asked, answers = node.seen.books.ledger, [], threading.Event()
    read = ledger.read

    @contextmanager
    def hanging() -> Iterator[sa.Connection]:
        asked.append(1)
        answers.wait(60)
        with read() as connection:
            yield connection

    monkeypatch.setattr(ledger, "read", hanging)
    monkeypatch.setattr("node.service.health.ANSWER_S", 0.2)
    look = node.seen.window.look
    first, second = look(), look()
    answers.set()
    third = look()

    assert not first.ready
    assert "does not answer within 0.2 s" in second.why
    assert third.ready
    assert len(asked) <= 2
