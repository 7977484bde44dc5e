"""A process that left the network reaches nobody, and keeps its files and its user."""

import subprocess
import sys
from pathlib import Path

import pytest

from node.service.isolation import can_leave_network, needs_network

PROGRAM = """
import os, socket, sys
from node.service.isolation import leave_network
with socket.create_server(("127.0.0.1", 0)) as server:
    assert leave_network()
    port = server.getsockname()[1]
    try:
        socket.create_connection(("127.0.0.1", port), timeout=2)
    except OSError as error:
        print("alone", os.geteuid())
open(sys.argv[1], "w").close()
"""


@pytest.mark.skipif(not can_leave_network(), reason="this system lets nobody leave the network")
def test_a_process_that_left_reaches_nobody(tmp_path: Path) -> None:
    command = [sys.executable, "-c", PROGRAM, str(tmp_path / "made")]

    ran = subprocess.run(command, capture_output=True, text=True, timeout=30)

    made = (tmp_path / "made").stat()
    assert ran.stdout.split() == ["alone", str(made.st_uid)], ran.stderr


@pytest.mark.parametrize(
    ("url", "over_the_network"),
    [
        ("", False),
        ("sqlite:////var/ledger.sqlite", False),
        ("postgresql://node@db.example/isocenter", True),
        ("postgresql://node@127.0.0.1:5432/isocenter", True),
        ("postgresql:///isocenter?host=/var/run/postgresql", False),
        ("postgresql:///isocenter", False),
    ],
)
def test_a_ledger_over_the_network_needs_it(url: str, over_the_network: bool) -> None:
    assert needs_network(url) is over_the_network
