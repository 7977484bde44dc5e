"""A whole node of its own, as a child process on free ports, for the demo, the self-test and the tests."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from node.errors import IsocenterError
from node.state.ledger import Ledger

TITLE = "ISOCENTER"
DATABASE_URL = "ISOCENTER__STATE__DATABASE_URL"
START_LIMIT_S = 60.0
STOP_LIMIT_S = 60.0
ASK_EVERY_S = 0.05


class RehearsalFailed(IsocenterError):
    """The node did not do what it should in time; the message says what, and where its log is."""


@dataclass
class RunningNode:
    """A node and where it is. environment: what its commands need to find it. only: as of `isocenter serve --only`."""

    folder: Path
    port: int
    admin_port: int
    environment: dict[str, str]
    only: str = ""
    _process: subprocess.Popen[bytes] | None = None
    _line: socket.socket | None = None

    @property
    def process(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise RehearsalFailed("the node was not started")
        return self._process

    @property
    def home(self) -> Path:
        return self.folder / "home"

    @property
    def log(self) -> Path:
        return self.folder / "node.log"

    @contextmanager
    def ledger(self) -> Iterator[Ledger]:
        """The node's ledger, to look into while it runs."""
        url = self.environment.get(DATABASE_URL) or f"sqlite:///{self.home / 'ledger.sqlite'}"
        with closing(Ledger(url)) as found:
            yield found

    def until(self, limit_s: float, failure: str) -> Iterator[None]:
        """Yield until the caller leaves the loop. Raises RehearsalFailed when the node dies or the time is over."""
        deadline = time.monotonic() + limit_s
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise RehearsalFailed(f"the node ended with exit code {self.process.returncode}; see {self.log}")
            yield
            time.sleep(ASK_EVERY_S)
        raise RehearsalFailed(f"{failure} within {limit_s:.0f} s; see {self.log}")

    def wait_until_ready(self) -> None:
        """Return when every process says that it is ready."""
        told = self.home / "run" / "processes.json"
        for _ in self.until(START_LIMIT_S, "the node did not start"):
            if not told.exists():
                continue
            found = json.loads(told.read_text())
            is_ours = found["pid"] == self.process.pid  # an earlier start may have told it
            if is_ours and all(one["state"] == "ready" for one in found["processes"]):
                return

    def start(self) -> None:
        """Start the node, which ends when this process does, however it does; its output goes to the log."""
        self._hang_up()
        self._line, theirs = socket.socketpair()
        with self.log.open("ab") as sink, theirs:
            handed = theirs.fileno()
            command = [sys.executable, "-m", "node", "serve", "--only", self.only, "--line", str(handed)]
            self._process = subprocess.Popen(
                command, env=self.environment, stderr=sink, stdout=sink, start_new_session=True, pass_fds=[handed]
            )

    def stop(self) -> None:
        """Stop the node in order; harmless where it has stopped."""
        self.process.terminate()
        self.process.wait(STOP_LIMIT_S)
        self._hang_up()

    def kill(self) -> None:
        """Kill every process of the node at once."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(STOP_LIMIT_S)
        self._hang_up()

    def _hang_up(self) -> None:
        if self._line is not None:
            self._line.close()


@contextmanager
def running_node(
    folder: Path, *, peers: str, routes: str, settings: Mapping[str, str] | None = None, only: str = ""
) -> Iterator[RunningNode]:
    """A node from entry to exit, started but perhaps not ready yet.

    peers, routes: the content of peers.toml and routes.toml. settings: of node.toml, as "gathering.quiet_s"; what is
    not named has its default, but for loopback, free ports, unknown callers accepted and small disk marks.
    """
    port, admin_port = free_ports(2)
    config = folder / "config"
    config.mkdir(parents=True, exist_ok=True)  # models may lie there already
    (config / "peers.toml").write_text(peers)
    (config / "routes.toml").write_text(routes)
    chosen = {
        "node.bind": "127.0.0.1",
        "node.port": str(port),
        "admin.port": str(admin_port),
        "intake.unknown_callers": "accept",
        "intake.disk_reserve_mb": "100",
        "intake.refuse_associations_mb": "200",
        **(settings or {}),
    }
    environment = {key: value for key, value in os.environ.items() if not key.startswith("ISOCENTER_")}
    environment |= {"ISOCENTER_CONFIG": str(config), "ISOCENTER_HOME": str(folder / "home")}
    environment |= {f"ISOCENTER__{name.upper().replace('.', '__')}": value for name, value in chosen.items()}
    node = RunningNode(folder, port, admin_port, environment, only)
    node.start()
    try:
        yield node
    finally:
        node.stop()


def free_ports(count: int) -> list[int]:
    """Ports that nobody has at this moment."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports
