"""A disk without room, without inodes or read-only, and a full database: refused or kept waiting, and taken up again
without a restart."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psycopg
import pytest
import sqlalchemy as sa

from node.rehearsal.modality import send_study
from node.rehearsal.pacs import StandInPacs
from node.rehearsal.phantom import SMALL, write_study
from node.rehearsal.running import TITLE, RunningNode, running_node
from node.state import schema
from tests.makers.bare import rejection, request
from tests.makers.disks import read_only, small_disk
from tests.makers.elements import ct
from tests.makers.part10 import part10
from tests.makers.postgres import running_postgres
from tests.makers.receiver import association, code, opened, process_settings

__all__ = ["process_settings"]

pytestmark = pytest.mark.real("mounts")
PEERS = '[[peer]]\nname = "pacs"\nae_title = "PACS"\naddress = "127.0.0.1"\nport = {port}\n'
ROUTES = '[[route]]\nname = "lung-ct"\nmodel = "lung-ct"\ndestinations = ["pacs"]\n'
LIMIT_S = 120.0


# The receiver


def test_a_full_disk_is_answered_a700_and_taken_up_again(tmp_path: Path) -> None:
    """Refused without a partial file while it is full, taken after room was made, without a restart."""
    file = part10(tmp_path / "one.dcm", ct(pixels=bytes(900_000)))
    with (
        small_disk(tmp_path / "home", size_mb=6) as disk,
        opened(tmp_path / "home") as door,
        association(door) as sender,
    ):
        disk.fill(leave_bytes=500_000)
        assert (code(sender.send_c_store(file)), door.files()) == (0xA700, [])
        assert list((door.home / "spool" / "aside").iterdir()) == []
        assert rejection(door, request()) == (2, 3, 1)
        disk.make_room()
        assert code(sender.send_c_store(file)) == 0x0000


def test_a_disk_that_fills_while_an_instance_is_written_keeps_nothing_of_it(tmp_path: Path) -> None:
    """The reserve was there when it began."""
    file = part10(tmp_path / "one.dcm", ct(pixels=bytes(900_000)))
    intake = {"disk_reserve_mb": 0, "refuse_associations_mb": 0}
    with (
        small_disk(tmp_path / "home", size_mb=6) as disk,
        opened(tmp_path / "home", intake) as door,
        association(door) as sender,
    ):
        disk.fill(leave_bytes=300_000)
        assert (code(sender.send_c_store(file)), door.files()) == (0xA700, [])
        assert list((door.home / "spool" / "aside").iterdir()) == []
        disk.make_room()
        assert code(sender.send_c_store(file)) == 0x0000


def test_a_disk_without_inodes_is_answered_a700_and_taken_up_again(tmp_path: Path) -> None:
    file = part10(tmp_path / "one.dcm", ct())
    with (
        small_disk(tmp_path / "home", size_mb=20, inodes=200) as disk,
        opened(tmp_path / "home") as door,
        association(door) as sender,
    ):
        disk.fill_with_files()
        assert (code(sender.send_c_store(file)), door.files()) == (0xA700, [])
        disk.make_room()
        assert code(sender.send_c_store(file)) == 0x0000
        assert door.data_sets() == [ct()]


def test_a_read_only_disk_is_answered_a700_and_taken_up_again(tmp_path: Path) -> None:
    files = [part10(tmp_path / f"{n}.dcm", ct(instance=f"1.2.{n}"), instance=f"1.2.{n}") for n in range(3)]
    with opened(tmp_path / "home") as door, association(door) as sender:
        assert code(sender.send_c_store(files[0])) == 0x0000
        with read_only(door.home / "spool"):
            assert [code(sender.send_c_store(file)) for file in files[1:]] == [0xA700, 0xA700]
            assert len(door.files()) == 1
        assert [code(sender.send_c_store(file)) for file in files[1:]] == [0x0000, 0x0000]


# The node


@contextmanager
def node_with_pacs(folder: Path, **settings: str) -> Iterator[tuple[RunningNode, StandInPacs]]:
    small_marks = {"intake.disk_reserve_mb": "1", "intake.refuse_associations_mb": "2"}
    chosen = {"gathering.quiet_s": "1", "jobs.dead_after_s": "12", **small_marks, **settings}
    with (
        StandInPacs(folder / "pacs") as pacs,
        running_node(folder / "node", peers=PEERS.format(port=pacs.port), routes=ROUTES, settings=chosen) as node,
    ):
        node.wait_until_ready()
        yield node, pacs


def pids(node: RunningNode) -> list[int]:
    told = json.loads((node.home / "run" / "processes.json").read_text())
    return [one["pid"] for one in told["processes"]]


def ready(node: RunningNode) -> tuple[int, str]:
    found = httpx.get(f"http://127.0.0.1:{node.admin_port}/ready", timeout=10)
    return found.status_code, found.json()["why"]


def isocenter(node: RunningNode, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "node", *arguments]
    return subprocess.run(command, env=node.environment, capture_output=True, text=True, timeout=60)


def send(node: RunningNode, files: list[Path]) -> set[int | None]:
    return {status for _, status in send_study(files, "127.0.0.1", node.port, "PACS", TITLE)}


def wait_until_delivered(node: RunningNode, pacs: StandInPacs) -> None:
    """The one study's results are at the PACS, each once."""
    with node.ledger() as ledger:
        for _ in node.until(LIMIT_S, "the results were not delivered"):
            with ledger.read() as connection:
                states = connection.execute(sa.select(schema.delivery.c.state)).scalars().all()
                if states == ["accepted"]:
                    results = set(connection.execute(sa.select(schema.result.c.sop_uid)).scalars())
                    break
    assert sorted(one.sop_instance_uid for one in pacs.arrivals) == sorted(results)


def assert_alarm(node: RunningNode, word: str) -> None:
    """The health page, `status` and `check` say what is wrong."""
    for _ in node.until(30, "no alarm was raised"):
        if ready(node)[0] == 503:
            break
    assert word in ready(node)[1]
    assert word in json.loads(isocenter(node, "status", "--json").stdout)["why"]
    assert "not-ready: the service cannot work: the ledger" in isocenter(node, "check").stdout


@pytest.mark.slow
def test_a_full_ledger_keeps_nobody_from_sending_and_goes_on_by_itself(tmp_path: Path) -> None:
    """SQLite on a small disk of its own: images are taken meanwhile, and analysed once there is room."""
    files = write_study(tmp_path / "phantom", SMALL)
    with (
        small_disk(tmp_path / "ledger", size_mb=8) as disk,
        node_with_pacs(tmp_path, **{"state.database_url": f"sqlite:///{tmp_path / 'ledger' / 'l.sqlite'}"}) as (
            node,
            pacs,
        ),
    ):
        before = pids(node)
        disk.fill()
        assert send(node, files) == {0x0000}
        assert_alarm(node, "full")
        disk.make_room()
        wait_until_delivered(node, pacs)
        assert pids(node) == before
        for _ in node.until(30, "the alarm did not end"):
            if ready(node) == (200, ""):
                break


@pytest.mark.slow
def test_a_ledger_that_fills_while_a_stage_runs_costs_nothing(tmp_path: Path) -> None:
    files = write_study(tmp_path / "phantom", SMALL)
    with (
        small_disk(tmp_path / "ledger", size_mb=8) as disk,
        node_with_pacs(tmp_path, **{"state.database_url": f"sqlite:///{tmp_path / 'ledger' / 'l.sqlite'}"}) as (
            node,
            pacs,
        ),
    ):
        before = pids(node)
        assert send(node, files) == {0x0000}
        with node.ledger() as ledger:
            for _ in node.until(LIMIT_S, "no stage began"):
                with ledger.read() as connection:
                    if connection.execute(sa.select(schema.attempt.c.id)).first():
                        break
        disk.fill()
        assert_alarm(node, "full")
        disk.make_room()
        wait_until_delivered(node, pacs)
        assert pids(node) == before


@pytest.mark.slow
@pytest.mark.real("postgresql")
def test_a_full_tablespace_keeps_nobody_from_sending_and_goes_on_by_itself(tmp_path: Path) -> None:
    """On a cluster of its own: once the disk below a tablespace is gone, no checkpoint of its server succeeds."""
    files = write_study(tmp_path / "phantom", SMALL)
    with running_postgres() as postgres, small_disk(postgres.folder / "small", size_mb=40) as disk:
        url = postgres.new_in_tablespace(disk.folder / "data")
        with node_with_pacs(tmp_path, **{"state.database_url": url}) as (node, pacs):
            before = pids(node)
            disk.fill()
            assert send(node, files) == {0x0000}
            assert_alarm(node, "No space left on device")
            disk.make_room()
            wait_until_delivered(node, pacs)
            assert pids(node) == before


@pytest.mark.slow
@pytest.mark.real("postgresql")
def test_a_database_that_is_gone_for_a_while_is_taken_up_again(tmp_path: Path, postgres) -> None:
    """As when its server is restarted: every connection ends, and none is had for some seconds."""
    files = write_study(tmp_path / "phantom", SMALL)
    url = postgres.new()
    name = url.rpartition("/")[2]
    with node_with_pacs(tmp_path, **{"state.database_url": url}) as (node, pacs):
        with psycopg.connect(postgres.url(), autocommit=True) as connection:
            connection.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
            connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (name,))
            assert send(node, files) == {0x0000}
            assert_alarm(node, "not currently accepting connections")
            connection.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')
        wait_until_delivered(node, pacs)


@pytest.mark.slow
def test_a_home_that_fills_while_a_stage_runs_costs_nothing(tmp_path: Path) -> None:
    """Ledger, spool and work on one disk: senders are asked to come back, what runs waits, and nobody restarts."""
    files = write_study(tmp_path / "phantom", SMALL)
    with small_disk(tmp_path / "node" / "home", size_mb=80) as disk, node_with_pacs(tmp_path) as (node, pacs):
        before = pids(node)
        assert send(node, files) == {0x0000}
        with node.ledger() as ledger:
            for _ in node.until(LIMIT_S, "no stage began"):
                with ledger.read() as connection:
                    if connection.execute(sa.select(schema.attempt.c.id)).first():
                        break
        disk.fill()
        for _ in node.until(30, "no alarm was raised"):
            if ready(node)[0] == 503:
                break
        assert "disk-full" in isocenter(node, "check").stdout
        disk.make_room()
        wait_until_delivered(node, pacs)
        assert pids(node) == before
