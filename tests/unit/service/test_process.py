"""A process of the node that cannot do its work says why in a line."""

import json
import os
import socket
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from node.service.process import Line
from node.state.ledger import Ledger
from node.state.owner import take_for

PEER = '[[peer]]\nname = "pacs"\nae_title = "PACS"\naddress = "127.0.0.1"\nport = 1\n'
ROUTE = '[[route]]\nname = "r"\nmodel = "not-here"\ndestinations = ["pacs"]\n'
TLS = '[tls]\ncertificate = "no.pem"\nkey = "no.key"\nauthorities = "ca.pem"\n'


@pytest.mark.parametrize(
    ("role", "file", "text", "told"),
    [
        ("service", "routes.toml", ROUTE, "route 'r': no model 'not-here'; installed: "),
        ("receiver", "node.toml", TLS, "look at no.pem, no.key, ca.pem"),
        ("worker", "peers.toml", "[peer]\n", "write each as a table of its own, under [[peer]]"),
    ],
)
def test_what_keeps_it_from_its_work_is_one_line_of_the_log(
    tmp_path: Path, role: str, file: str, text: str, told: str
) -> None:
    """And no traceback, in which nobody looks for what to correct."""
    (tmp_path / "peers.toml").write_text(PEER)
    (tmp_path / file).write_text(text)
    (tmp_path / "home").mkdir(exist_ok=True)
    ended = run(tmp_path, role)

    last = json.loads(ended.stderr.splitlines()[-1])
    assert (ended.returncode, last["event"], last["level"]) == (1, "process-unable", "error")
    assert told in last["why"]
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("role", ["service", "receiver"])
def test_a_file_of_the_home_that_cannot_be_used_is_named(tmp_path: Path, role: str) -> None:
    """As where another user made it."""
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "spool").touch()
    ended = run(tmp_path, role)

    last = json.loads(ended.stderr.splitlines()[-1])
    assert (ended.returncode, last["event"]) == (1, "process-unable")
    assert f"{tmp_path / 'home' / 'spool'}" in last["why"]
    assert "look who owns it" in last["why"]
    assert "Traceback" not in ended.stderr


@pytest.mark.real("postgresql")
def test_a_database_that_cannot_be_written_is_told_in_words(tmp_path: Path, postgres) -> None:
    """By the engine, too, which asks its own tables in its own way."""
    url = postgres.new_with_tables()
    (tmp_path / "home").mkdir()
    with closing(Ledger(url)) as ledger:
        take_for(ledger, tmp_path / "home")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f'ALTER DATABASE "{connection.info.dbname}" SET default_transaction_read_only = on')
    ended = run(tmp_path, "service", ISOCENTER_DATABASE_URL=url)

    last = json.loads(ended.stderr.splitlines()[-1])
    assert (ended.returncode, last["event"]) == (1, "process-unable")
    assert "read-only transaction): make room there, or mend the database" in last["why"]


def run(tmp_path: Path, role: str, **more: str) -> subprocess.CompletedProcess[str]:
    """A process of that role, by the configuration of this folder."""
    ours, line = socket.socketpair()
    with ours, line, socket.create_server(("127.0.0.1", 0)) as listening:
        handed = [line.fileno(), listening.fileno()]
        return subprocess.run(
            [sys.executable, "-m", "node.service.process", role, "0", *map(str, handed)],
            pass_fds=handed,
            env={**os.environ, "ISOCENTER_CONFIG": str(tmp_path), "ISOCENTER_HOME": str(tmp_path / "home"), **more},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
        )


@pytest.mark.parametrize("unheard", [0, 3])
def test_a_process_ends_with_its_supervisor_whatever_that_had_not_heard(unheard: int) -> None:
    """Killed while it stood still, it left receivers that held the port, went on taking studies and heard no signal."""
    supervisors, own = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    stop = threading.Event()
    line = Line(own.detach(), stop)
    with closing(line._socket):
        for _ in range(unheard):
            line.beat()
        supervisors.close()

        assert stop.wait(10)
