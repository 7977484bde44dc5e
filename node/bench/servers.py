"""The servers that are compared: our receiver, Orthanc and DCMTK's storescp, each on a free port of this machine."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import astuple, dataclass
from pathlib import Path

from node import __version__
from node.errors import IsocenterError
from node.rehearsal.running import free_ports
from node.settings import NodeTable

START_LIMIT_S = 60.0
ENDS_WITH_US = ("setpriv", "--pdeathsig", "KILL")
"""What stands before a server's command: it ends with the bench, also with one that is killed."""
_OWN = str(Path(sys.executable).parent)
_FOLDERS = [one for one in os.environ.get("PATH", os.defpath).split(os.pathsep) if one != _OWN]
ENVIRONMENT = {**os.environ, "PATH": os.pathsep.join([*_FOLDERS, _OWN]), "TCP_NODELAY": "1"}
"""Of the programs that are compared. Without TCP_NODELAY, DCMTK's wait 40 ms for every message on loopback; Python's
own folder comes last, as pynetdicom puts programs there that are called as DCMTK's are."""


class ServerFailed(IsocenterError):
    """A server did not start; the message says which, and the end of its log."""


@dataclass(frozen=True)
class Server:
    """A running server. pids: of the processes that serve."""

    name: str
    version: str
    ae_title: str
    port: int
    pids: tuple[int, ...]


@contextmanager
def our_receiver(home: Path, *, syncs: bool = True, tls: Sequence[Path] = ()) -> Iterator[Server]:
    """Our receivers alone, as many as a node has that says nothing else. syncs: whether they wait for the disk, as the
    product always does. tls: key, certificate and authorities, with which they take TLS too."""
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listening, ExitStack() as stack:
        port, handed = listening.getsockname()[1], listening.fileno()
        command = [sys.executable, "-m", "node.bench.receiver", str(home), str(handed), str(int(syncs)), *map(str, tls)]
        processes = [
            stack.enter_context(_process(f"isocenter-{number}", command, home, handed))
            for number in range(NodeTable().receivers)
        ]
        for process in processes:
            _wait_for_port(port, process, home)
        yield Server("isocenter", __version__, "ISOCENTER", port, tuple(process.pid for process in processes))


@contextmanager
def orthanc(folder: Path) -> Iterator[Server]:
    """Orthanc as it comes: it syncs files and indexes."""
    port, http_port = free_ports(2)
    folder.mkdir(parents=True)
    settings = {
        "Name": "bench",
        "StorageDirectory": str(folder / "db"),
        "IndexDirectory": str(folder / "db"),
        "DicomAet": "ORTHANC",
        "DicomPort": port,
        "HttpPort": http_port,
        "DicomAlwaysAllowStore": True,
        "DicomCheckCalledAet": False,
        "Plugins": [],
    }
    (folder / "orthanc.json").write_text(json.dumps(settings))
    version = _version(["Orthanc", "--version"])
    with _process("Orthanc", ["Orthanc", str(folder / "orthanc.json")], folder) as process:
        _wait_for_port(port, process, folder)
        yield Server("Orthanc", version, "ORTHANC", port, (process.pid,))


@contextmanager
def storescp(folder: Path) -> Iterator[Server]:
    """DCMTK's storescp: it neither syncs nor indexes."""
    (port,) = free_ports(1)
    (folder / "files").mkdir(parents=True)
    version = _version(["storescp", "--version"])
    command = ["storescp", "--fork", "-pdu", "131072", "-od", str(folder / "files"), str(port)]
    with _process("storescp", command, folder) as process:
        _wait_for_port(port, process, folder)
        yield Server("DCMTK storescp", version, "STORESCP", port, (process.pid,))


@dataclass(frozen=True)
class Usage:
    """What processes use together, and used."""

    processor_s: float
    memory_mb: float
    peak_mb: float
    threads: int
    files: int


def usage_of(server: Server) -> Usage:
    """As the kernel counts it (proc(5))."""
    each = [_usage_of(pid) for pid in server.pids]
    return Usage(*(sum(column) for column in zip(*map(astuple, each), strict=True)))


def _usage_of(pid: int) -> Usage:
    process = Path("/proc", str(pid))
    fields = (process / "stat").read_text().rpartition(")")[2].split()
    told = dict(line.split(":", 1) for line in (process / "status").read_text().splitlines())
    return Usage(
        processor_s=(int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK"),
        memory_mb=int(told["VmRSS"].split()[0]) / 1024,
        peak_mb=int(told["VmHWM"].split()[0]) / 1024,
        threads=int(told["Threads"]),
        files=len(list((process / "fd").iterdir())),
    )


def missing(*programs: str) -> str:
    """Words about the first of the programs that is not on PATH, empty where all are there."""
    absent = [one for one in programs if shutil.which(one, path=ENVIRONMENT["PATH"]) is None]
    return f"{absent[0]} is not installed" if absent else ""


@contextmanager
def _process(name: str, command: Sequence[str], folder: Path, *handed: int) -> Iterator[subprocess.Popen[bytes]]:
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"{name}.log").open("wb") as log:
        process = subprocess.Popen([*ENDS_WITH_US, *command], stdout=log, stderr=log, env=ENVIRONMENT, pass_fds=handed)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_for_port(port: int, process: subprocess.Popen[bytes], folder: Path) -> None:
    """Return once an association is answered: a verification, by DCMTK."""
    deadline = time.monotonic() + START_LIMIT_S
    command = ["echoscu", "-to", "2", "-aec", "ANY", "127.0.0.1", str(port)]
    said = ""
    while time.monotonic() < deadline and process.poll() is None:
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=ENVIRONMENT)
        said = done.stdout + done.stderr
        if done.returncode == 0 or "Rejected" in said or "TLS" in said:
            return
        time.sleep(0.05)
    logs = "\n".join(log.read_text(errors="replace") for log in folder.glob("*.log"))
    raise ServerFailed(f"{process.args!r} did not start. It said: {logs[-1000:]}\nA caller was told: {said[-300:]}")


def _version(command: Sequence[str]) -> str:
    said = subprocess.run(command, capture_output=True, text=True, check=False, env=ENVIRONMENT).stdout
    found = re.search(r"\d+\.\d+\.\d+", said)
    return found.group() if found else "unknown"
