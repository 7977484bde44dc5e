"""A node that is asked to stop while it has everything to do: it ends in time, and goes on where it was."""

import time
from pathlib import Path

import pytest
import sqlalchemy as sa

from node.bench.kills import GRID, PEERS, ROUTES, SETTINGS, Load, settle, wait_until_settled
from node.rehearsal.pacs import StandInPacs
from node.rehearsal.phantom import write_study
from node.rehearsal.running import RunningNode, running_node
from node.service.supervisor import DRAIN_S
from node.state import schema

pytestmark = pytest.mark.slow
LIMIT_S = 120.0
SLACK_S = 3.0
"""For the supervisor's own end."""


def wait_until_busy(node: RunningNode, load: Load) -> None:
    """An association is open and a stage runs."""
    with node.ledger() as ledger:
        for _ in node.until(LIMIT_S, "the node had nothing to do"):
            with ledger.read() as connection:
                running = connection.execute(
                    sa.select(schema.attempt.c.id).where(schema.attempt.c.ended_at.is_(None))
                ).first()
            if running and load.is_sending:
                return


@pytest.mark.parametrize("database", ["sqlite", pytest.param("postgresql", marks=pytest.mark.real("postgresql"))])
def test_stopping_under_load_loses_nothing_and_ends_in_time(
    tmp_path: Path, database: str, request: pytest.FixtureRequest
) -> None:
    """SIGTERM with senders mid-association and stages running: what was acknowledged is kept, each job
    is done once, and nothing is given up."""
    url = request.getfixturevalue("postgres").new() if database == "postgresql" else ""
    settings = {**SETTINGS, "state.database_url": url}
    with StandInPacs(tmp_path / "pacs") as pacs:
        peers = PEERS.format(port=pacs.port)
        with running_node(tmp_path / "node", peers=peers, routes=ROUTES, settings=settings) as node:
            node.wait_until_ready()
            load = Load(tmp_path, node, write_study(tmp_path / "phantom", GRID))
            load.start()
            try:
                wait_until_busy(node, load)
                began = time.monotonic()
                node.stop()
                assert time.monotonic() - began < DRAIN_S + SLACK_S
                assert node.process.returncode == 0
                assert settle(tmp_path, [], url).missing == 0
                node.start()
                node.wait_until_ready()
                load.finish()
                wait_until_settled(node, load.studies)
            finally:
                load.stop()
        found = settle(tmp_path, load.studies, url)
        assert found.ok
        assert found.acknowledged > 0
        assert found.jobs == len(load.studies) > 0
