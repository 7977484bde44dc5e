"""A backup of a node at work, put back elsewhere: it goes on from there, and nothing is done twice."""

import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa

from node.bench.invariants import balance
from node.bench.kills import GRID, PEERS, ROUTES, SETTINGS, copy_study, wait_until_settled
from node.rehearsal.modality import send_study
from node.rehearsal.pacs import StandInPacs
from node.rehearsal.phantom import write_study
from node.rehearsal.running import DATABASE_URL, TITLE, RunningNode, running_node
from node.state import schema

pytestmark = pytest.mark.slow
LIMIT_S = 120.0


def isocenter(node: RunningNode, *arguments: str, **changes: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "node", *arguments]
    return subprocess.run(command, env={**node.environment, **changes}, capture_output=True, text=True, timeout=120)


def wait_until_a_stage_runs_of_the_second(node: RunningNode) -> None:
    with node.ledger() as ledger:
        for _ in node.until(LIMIT_S, "no stage of the second study began"):
            with ledger.read() as connection:
                jobs = connection.execute(sa.select(schema.job.c.state)).scalars().all()
                running = connection.execute(
                    sa.select(schema.attempt.c.id).where(schema.attempt.c.ended_at.is_(None))
                ).first()
            if len(jobs) == 2 and running:
                return


@pytest.mark.parametrize("database", ["sqlite", pytest.param("postgresql", marks=pytest.mark.real("postgresql"))])
def test_a_backup_of_a_node_at_work_goes_on_elsewhere(
    tmp_path: Path, database: str, request: pytest.FixtureRequest
) -> None:
    """Made while one study is done, another one in a stage, and a third is arriving; the node is lost after it."""
    on_postgres = database == "postgresql"
    urls = [request.getfixturevalue("postgres").new() if on_postgres else "" for _ in range(2)]
    template = write_study(tmp_path / "phantom", GRID)
    with StandInPacs(tmp_path / "pacs") as pacs:
        peers = PEERS.format(port=pacs.port)
        settings = {**SETTINGS, "state.database_url": urls[0]}
        with running_node(tmp_path / "first", peers=peers, routes=ROUTES, settings=settings) as node:
            node.wait_until_ready()
            studies = []
            for name in ("one", "two"):
                uid, paths = copy_study(template, tmp_path / "sent", name, "CT")
                studies.append(uid)
                send_study(paths, "127.0.0.1", node.port, "PACS", TITLE)
                if name == "one":
                    wait_until_settled(node, studies)
            wait_until_a_stage_runs_of_the_second(node)
            third, paths = copy_study(template, tmp_path / "sent", "three", "CT")
            send_study(paths[:20], "127.0.0.1", node.port, "PACS", TITLE)
            made = isocenter(node, "backup", str(tmp_path / "backup"))
            assert made.returncode == 0, made.stderr
            node.kill()
            node.start()  # for the block's end
        elsewhere = {"ISOCENTER_HOME": str(tmp_path / "second" / "home"), DATABASE_URL: urls[1]}
        put_back = isocenter(node, "restore", str(tmp_path / "backup"), **elsewhere)
        assert put_back.returncode == 0, put_back.stderr
        again = isocenter(node, "restore", str(tmp_path / "backup"), **elsewhere)
        assert (again.returncode, "holds a ledger already" in again.stderr) == (2, True)

        settings = {**SETTINGS, "state.database_url": urls[1]}
        with running_node(tmp_path / "second", peers=peers, routes=ROUTES, settings=settings) as node:
            node.wait_until_ready()
            send_study(paths, "127.0.0.1", node.port, "PACS", TITLE)
            wait_until_settled(node, [*studies, third])
            with node.ledger() as ledger:
                received = sorted((tmp_path / "pacs").iterdir())
                found = balance(ledger, node.home, [], [*studies, third], received)
    assert found.ok
    assert found.jobs == 3
    # Of the unfinished job the first stage alone had to be found: each one that has to be takes half a minute more.
    assert (tmp_path / "second" / "node.log").read_text().count("stranded-work-put-back") <= 1
