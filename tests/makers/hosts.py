"""Hosts on this machine, each a network namespace and a host name, with workers of a node that runs here."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from node.rehearsal.running import DATABASE_URL, RunningNode
from tests.makers.postgres import Postgres
from tests.makers.programs import ENDS_WITH_US

_HOLD = 'hostname "$0" && echo held && exec sleep infinity'


@dataclass(frozen=True)
class Host:
    """A host whose only connection is a cable to this machine, and which shares its files."""

    name: str
    pid: int
    """The process that holds the host's namespaces; they end with it."""

    @property
    def here(self) -> str:
        """This machine's address, as the host sees it."""
        return self._address(1)

    @property
    def cable(self) -> str:
        return f"{self.name}-{self.pid}"

    def connect(self) -> None:
        """Lay the cable, in a network of its own, so that several test runs can share a machine."""
        host = str(self.pid)
        _run("ip", "link", "add", self.cable, "type", "veth", "peer", "name", "cable", "netns", host)
        _run("ip", "address", "add", f"{self.here}/30", "dev", self.cable)
        _run("ip", "link", "set", self.cable, "up")
        _run(*self._inside, "ip", "link", "set", "lo", "up")
        _run(*self._inside, "ip", "address", "add", f"{self._address(2)}/30", "dev", "cable")
        _run(*self._inside, "ip", "link", "set", "cable", "up")

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to every process that runs on the host."""
        network = _network(Path(f"/proc/{self.pid}"))
        for process in Path("/proc").glob("[0-9]*"):
            if process.name != str(self.pid) and _network(process) == network:
                os.kill(int(process.name), number)

    def plug(self, *, connected: bool) -> None:
        """Pull the cable, or put it back."""
        _run("ip", "link", "set", self.cable, "up" if connected else "down")

    @contextmanager
    def workers(self, node: RunningNode, postgres: Postgres, database: str) -> Iterator[None]:
        """`isocenter serve --only worker,model` with the node's configuration and home, from entry to exit."""
        environment = {**node.environment, DATABASE_URL: replace(postgres, address=self.here).url(database)}
        command = [*ENDS_WITH_US, *self._inside, sys.executable, "-m", "node", "serve", "--only", "worker,model"]
        with (node.folder / f"{self.name}.log").open("ab") as sink:
            process = subprocess.Popen(command, env=environment, stdout=sink, stderr=sink)
        try:
            yield
        finally:
            self.signal(signal.SIGKILL)
            process.wait()

    @property
    def _inside(self) -> tuple[str, ...]:
        """What stands before a command that is to run on the host."""
        return ("nsenter", "--target", str(self.pid), "--net", "--uts")

    def _address(self, end: int) -> str:
        return f"10.231.{self.pid // 64 % 256}.{self.pid % 64 * 4 + end}"


@contextmanager
def new_host(name: str) -> Iterator[Host]:
    """A host from entry to exit."""
    command = [*ENDS_WITH_US, "unshare", "--net", "--uts", "sh", "-c", _HOLD, name]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as holder:
        try:
            assert holder.stdout is not None
            assert holder.stdout.readline() == b"held\n", "the host could not be made"
            host = Host(name, holder.pid)
            host.connect()
            yield host
        finally:
            holder.kill()


def _network(process: Path) -> int | None:
    """The number of the network namespace of a process; None where it ended meanwhile or is not ours to see."""
    try:
        return (process / "ns" / "net").stat().st_ino
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return None


def _run(*command: str) -> None:
    subprocess.run(command, check=True)
