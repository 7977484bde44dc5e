"""Somebody sets the clock of a node at work by an hour: it goes on as if nothing had been."""

from pathlib import Path

import pytest
import sqlalchemy as sa

from node.rehearsal.modality import send_study
from node.rehearsal.pacs import StandInPacs
from node.rehearsal.phantom import SMALL, write_study
from node.rehearsal.running import TITLE, RunningNode, free_ports, running_node
from node.state import schema

pytestmark = [pytest.mark.slow, pytest.mark.real("faketime")]
PEERS = '[[peer]]\nname = "pacs"\nae_title = "PACS"\naddress = "127.0.0.1"\nport = {port}\n'
ROUTES = '[[route]]\nname = "lung-ct"\nmodel = "lung-ct"\ndestinations = ["pacs"]\n'
SETTINGS = {"gathering.quiet_s": "3", "sending.backoff_first_s": "5", "sending.backoff_max_s": "5"}
LIMIT_S = 120.0


def delivery(node: RunningNode) -> tuple[str, int] | None:
    """State and attempt of the one delivery."""
    with node.ledger() as ledger, ledger.read() as connection:
        row = connection.execute(sa.select(schema.delivery.c.state, schema.delivery.c.attempt)).first()
        return None if row is None else (row.state, row.attempt)


@pytest.mark.parametrize("step", ["-1h", "+1h"])
def test_a_clock_that_is_set_by_an_hour_delays_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """While the images are gathered, and again while a delivery waits for its next attempt."""
    said = tmp_path / "clock"
    said.write_text("+0")
    (library,) = Path("/usr/lib").glob("*-linux-gnu/faketime/libfaketimeMT.so.1")
    for name, value in {
        "LD_PRELOAD": str(library),
        "FAKETIME_TIMESTAMP_FILE": str(said),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "FAKETIME_DONT_RESET": "1",
    }.items():
        monkeypatch.setenv(name, value)
    (port,) = free_ports(1)
    files = write_study(tmp_path / "phantom", SMALL)
    with running_node(tmp_path / "node", peers=PEERS.format(port=port), routes=ROUTES, settings=SETTINGS) as node:
        node.wait_until_ready()
        send_study(files, "127.0.0.1", node.port, "PACS", TITLE)
        said.write_text(step)
        for _ in node.until(LIMIT_S, "nothing was tried"):
            found = delivery(node)
            if found is not None and found[0] == "waiting" and found[1] > 1:
                break
        said.write_text("+0" if step == "+1h" else "-2h")
        with StandInPacs(tmp_path / "pacs", port=port) as pacs:
            for _ in node.until(LIMIT_S, "the results were not delivered"):
                if delivery(node)[0] == "accepted":
                    break
            assert len({one.sop_instance_uid for one in pacs.arrivals}) == len(pacs.arrivals) > 0
    assert "clock-was-set" in node.log.read_text()
