"""A home that was copied, started beside the original on the same database: one of the two works, the other says so."""

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from node.rehearsal.running import DATABASE_URL, RunningNode, running_node
from node.state.hold import KEY, PROVEN_FREE_S

pytestmark = [pytest.mark.real("postgresql"), pytest.mark.slow]
PEERS = '[[peer]]\nname = "pacs"\nae_title = "PACS"\naddress = "127.0.0.1"\nport = 1\n'
LIMIT_S = 90.0
OTHER = "other"
"""The name of a session that outlives the restart."""


@contextmanager
def a_node(folder: Path, url: str) -> Iterator[RunningNode]:
    settings, roles = {"state.database_url": url}, "receiver,service,worker"
    with running_node(folder, peers=PEERS, routes="", settings=settings, only=roles) as node:
        yield node


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory, postgres) -> Iterator[RunningNode]:
    with a_node(tmp_path_factory.mktemp("original"), postgres.new()) as node:
        node.wait_until_ready()
        yield node


@pytest.fixture(scope="module")
def copied(original: RunningNode, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningNode]:
    """Started while the original works."""
    folder = tmp_path_factory.mktemp("copy")
    shutil.copytree(original.home, folder / "home", ignore=shutil.ignore_patterns("run", "*.bell"))
    with a_node(folder, original.environment[DATABASE_URL]) as node:
        for _ in node.until(LIMIT_S, "the copy was not refused"):
            if told(node, "ledger-taken"):
                break
        yield node


def test_the_copy_says_why_it_does_not_work(original: RunningNode, copied: RunningNode) -> None:
    """Also when it is asked; the original goes on."""
    (first, *_) = told(copied, "ledger-taken")
    assert first["level"] == "error"
    assert "another copy of this home works with the ledger" in first["why"]
    assert "from 127.0.0.1, since 2" in first["why"]
    assert "ledger-taken: another copy of this home works" in check(copied)
    assert "ledger-taken" not in check(original)
    assert states(copied) == {"receiver": "ready", "service": "starting", "worker": "waiting"}


def test_it_does_not_win_where_the_database_restarts(original: RunningNode, copied: RunningNode) -> None:
    """It would work on what it has no images of."""
    before = service_of(original)
    end_sessions(original)
    deadline = time.monotonic() + PROVEN_FREE_S + 10
    for _ in original.until(LIMIT_S, ""):
        assert states(copied)["service"] == "starting"
        if time.monotonic() > deadline:
            break
    assert states(original)["service"] == "ready"
    assert service_of(original) == before
    assert not told(original, "ledger-lost")


def test_whoever_finds_the_other_at_work_stops(original: RunningNode, copied: RunningNode) -> None:
    """The copy takes over what the original left, and the original does nothing once it is back."""
    original.kill()
    copied.wait_until_ready()
    original.start()
    for _ in original.until(LIMIT_S, "it was not refused"):
        if told(original, "ledger-taken"):
            break
    assert states(original)["worker"] == "waiting"


def test_a_node_that_lost_the_ledger_stops_its_work(tmp_path: Path, postgres) -> None:
    """As where a copy was there first after the database was away. It goes on once nobody has it any more."""
    with a_node(tmp_path, postgres.new()) as node:
        node.wait_until_ready()
        with psycopg.connect(node.environment[DATABASE_URL], autocommit=True, application_name=OTHER) as other:
            for _ in node.until(LIMIT_S, "the node was always first"):
                end_sessions(node)
                if other.execute("SELECT pg_try_advisory_lock(%s)", (KEY,)).fetchone() == (True,):
                    break
            for _ in node.until(LIMIT_S, "the service goes on"):
                if told(node, "ledger-lost") and told(node, "ledger-taken"):
                    break
        node.wait_until_ready()


def told(node: RunningNode, event: str) -> list[dict]:
    lines = [json.loads(line) for line in node.log.read_text().splitlines() if line.startswith("{")]
    return [one for one in lines if one["event"] == event]


def states(node: RunningNode) -> dict[str, str]:
    found = json.loads((node.home / "run" / "processes.json").read_text())
    return {one["role"]: one["state"] for one in found["processes"]}


def service_of(node: RunningNode) -> int:
    found = json.loads((node.home / "run" / "processes.json").read_text())
    return next(one["pid"] for one in found["processes"] if one["role"] == "service")


def check(node: RunningNode) -> str:
    command = [sys.executable, "-m", "node", "check"]
    return subprocess.run(command, env=node.environment, capture_output=True, text=True, timeout=60).stdout


def end_sessions(node: RunningNode) -> None:
    """As a restart of the database does."""
    with psycopg.connect(node.environment[DATABASE_URL], autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid() AND application_name <> %s",
            (OTHER,),
        )
