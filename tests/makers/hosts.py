"""Hosts on this machine, each a network namespace and a host name, with workers of a node that runs here."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from node.rehearsal.running import DATABASE_URL, RunningNode
from tests.makers.postgres import Postgres


@dataclass(frozen=True)
class Host:
    """A host whose only connection is a cable to this machine, and which shares its files."""

    name: str
    here: str
    """This machine's address, as the host sees it."""

    @property
    def cable(self) -> str:
        return f"to-{self.name}"

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to every process of the host at once."""
        pids = _run("ip", "netns", "pids", self.name).split()
        for pid in map(int, pids):
            os.kill(pid, number)

    def plug(self, *, connected: bool) -> None:
        """Pull the cable, or put it back."""
        _run("ip", "link", "set", self.cable, "up" if connected else "down")

    @contextmanager
    def workers(self, node: RunningNode, postgres: Postgres, database: str) -> Iterator[None]:
        """`isocenter serve --only worker,model` with the node's configuration and home, from entry to exit."""
        environment = {**node.environment, DATABASE_URL: replace(postgres, address=self.here).url(database)}
        serve = f"hostname {self.name} && exec {sys.executable} -m node serve --only worker,model"
        command = ["ip", "netns", "exec", self.name, "unshare", "--uts", "sh", "-c", serve]
        with (node.folder / f"{self.name}.log").open("ab") as sink:
            process = subprocess.Popen(command, env=environment, stdout=sink, stderr=sink)
        try:
            yield
        finally:
            self.signal(signal.SIGKILL)
            process.wait()


@contextmanager
def new_host(name: str, number: int) -> Iterator[Host]:
    """A host from entry to exit; number: of its network, 1 to 254."""
    host = Host(name, f"10.231.{number}.1")
    _run("ip", "netns", "add", name)
    try:
        _run("ip", "link", "add", host.cable, "type", "veth", "peer", "name", "cable", "netns", name)
        _run("ip", "address", "add", f"{host.here}/24", "dev", host.cable)
        _run("ip", "link", "set", host.cable, "up")
        inside = ("ip", "-n", name)
        _run(*inside, "link", "set", "lo", "up")
        _run(*inside, "address", "add", f"10.231.{number}.2/24", "dev", "cable")
        _run(*inside, "link", "set", "cable", "up")
        yield host
    finally:
        _run("ip", "netns", "delete", name)


def _run(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout
