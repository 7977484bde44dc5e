"""Starts the node's processes, starts again those that die, and stops all of them in order."""

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import structlog

from node.service.executor import now
from node.service.locks import TOLD, claim, host_name
from node.service.orphans import adopt_orphans, children, end_orphans, reap_orphans
from node.service.ports import open_listening
from node.service.printed import keep_printed
from node.settings import NodeSettings

log = structlog.get_logger()

ROLES = ("receiver", "service", "worker", "model")
"""In the order in which they are started; they are stopped in the same order, so that what arrives is finished."""

BEATING = frozenset({"receiver"})
"""Roles that say every second that they are ready; the others give their signs of life to the ledger."""
SILENT, SILENT_AFTER_S = "silent", 15.0
"""What a process is that stopped saying so, though it has not died."""
RENEWING = "renewing"
"""What a process says before it ends by itself, to be started again at once: that is no death."""
WORDS = {b"ready": "ready", b"renewing": RENEWING}
"""All that counts of what is heard from a process, in which other people's code runs."""
DRAIN_S = 30.0
RESTART_FIRST_S, RESTART_MAX_S = 0.1, 30.0
STEADY_S = 10.0
"""A process that lived so long starts again at once; one that dies at its start is tried ever more slowly."""


@dataclass
class Child:
    """One process, its end of the line to it, and how often it has died lately."""

    role: str
    slot: int
    process: subprocess.Popen[bytes] | None = None
    line: socket.socket | None = None
    printing: threading.Thread | None = None
    state: str = "waiting"
    started: float = 0.0
    since: datetime = field(default_factory=now)
    deaths: int = 0
    not_before: float = 0.0
    heard: float = 0.0
    """When it last said something."""

    def turn(self, state: str) -> None:
        """Be in another state from now on."""
        if state != self.state:
            self.state, self.since = state, now()


@dataclass
class Supervisor:
    """The parent of all: owns the home's lock and the listening socket, and does no work itself.

    line: to a process that the node ends with, which is told by the line's end.
    """

    settings: NodeSettings
    config_folder: Path
    roles: tuple[str, ...] = ROLES
    line: socket.socket | None = None
    _since: datetime = field(default_factory=now)
    _children: list[Child] = field(default_factory=list)
    _is_left: bool = False
    _others: frozenset[int] = frozenset()
    """What was a child of this process before it started any."""

    def run(self) -> None:
        """Run until SIGTERM, SIGINT or the line's end, then drain. Raises AlreadyRunning where home or port is another
        node's, NotPossible where a port cannot be had."""
        home = self.settings.state.home.absolute()
        with claim(home, self.roles) as folder, contextlib.ExitStack() as opened:
            adopt_orphans()
            self._others = children()
            listening = self._listen()
            for one in listening.values():
                opened.enter_context(one)
            signals = _SignalPipe((signal.SIGTERM, signal.SIGINT))
            signal.signal(signal.SIGCHLD, lambda *_: None)  # so that a death ends the wait
            counts = {
                "receiver": self.settings.node.receivers,
                "service": 1,
                "worker": self.settings.node.cpu_workers,
                "model": self.settings.node.model_workers,
            }
            self._children = [Child(role, slot) for role in self.roles for slot in range(counts[role])]
            log.info("node-starting", home=str(home), port=self.settings.node.port, roles=list(self.roles))
            try:
                while not signals.received and not self._is_left:
                    self._start_due(listening, folder)
                    self._report(folder)
                    self._wait(signals)
                    self._look_for_ended()
                    self._look_for_stuck()
            finally:
                self._stop(folder)

    def _listen(self) -> dict[str, socket.socket]:
        """The sockets that children get, by the role that gets them; opened here, so that a port that is taken
        stops the node at its start with words, not a child later."""
        node, admin = self.settings.node, self.settings.admin
        sockets = {}
        if "receiver" in self.roles:
            sockets["receiver"] = _socket_from_systemd() or open_listening(node.bind, node.port, "node.port")
        if "service" in self.roles:
            sockets["service"] = open_listening(admin.bind, admin.port, "admin.port")
        return sockets

    def _start_due(self, listening: Mapping[str, socket.socket], folder: Path) -> None:
        service = next((one for one in self._children if one.role == "service"), None)
        for child in self._children:
            waits = child.role in ("worker", "model") and service is not None and service.state != "ready"
            if child.process is None and not waits and time.monotonic() >= child.not_before:
                self._start(child, listening, folder)

    def _start(self, child: Child, listening: Mapping[str, socket.socket], folder: Path) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setblocking(False)
        command = [sys.executable, "-m", "node.service.process", child.role, str(child.slot), str(theirs.fileno())]
        handed = [theirs.fileno()]
        if child.role in listening:
            command.append(str(listening[child.role].fileno()))
            handed.append(listening[child.role].fileno())
        environment = {**os.environ, "ISOCENTER_CONFIG": str(self.config_folder.absolute()), "PYTHONUNBUFFERED": "1"}
        environment["ISOCENTER_HOME"] = str(self.settings.state.home.absolute())
        pipe = None
        if child.role == "model":
            own = folder / f"model-{child.slot}"
            environment |= {"ISOCENTER_PRINTED": f"{own}.printed", "TMPDIR": f"{own}.tmp"}
            reading, pipe = os.pipe()
            child.printing = keep_printed(reading, own.with_suffix(".printed"))
            command.append(str(pipe))
            handed.append(pipe)
        child.process = subprocess.Popen(command, pass_fds=handed, env=environment, stdin=subprocess.DEVNULL)
        if pipe is not None:
            os.close(pipe)
        theirs.close()
        child.line, child.started = ours, time.monotonic()
        child.turn("starting")

    def _wait(self, signals: "_SignalPipe") -> None:
        """Sleep until a process says something or dies, a signal or the line's end comes, or a second has passed."""
        lines = {one.line: one for one in self._children if one.line is not None}
        others = [signals.pipe] if self.line is None else [signals.pipe, self.line]
        readable, _, _ = select.select([*lines, *others], [], [], 1.0)
        self._is_left = self.line in readable  # nobody writes to it
        if signals.pipe in readable:
            signals.pipe.recv(4096)
            reap_orphans(self._ours())
        for line in readable:
            if line in lines:
                self._hear(lines[line])

    def _ours(self) -> frozenset[int]:
        return self._others | {one.process.pid for one in self._children if one.process is not None}

    def _hear(self, child: Child) -> None:
        """Take what was said. A process whose line has ended cannot be told of its supervisor's death: it ends now."""
        while child.line is not None and child.process is not None:
            try:
                said = child.line.recv(64)
            except BlockingIOError:
                return
            except ConnectionError:
                said = b""
            if not said:
                child.line.close()
                child.line = None
                child.process.kill()
            elif (word := said.strip()) in WORDS:
                child.heard = time.monotonic()
                child.turn(WORDS[word])

    def _look_for_ended(self) -> None:
        """A process tells its end by nothing but that: its line may be held by what it has started."""
        for child in self._children:
            if child.process is None or child.process.poll() is None:
                continue
            self._hear(child)
            if child.line is not None:
                child.line.close()
            if child.state == RENEWING:
                log.info("process-renewed", process=child.role, slot=child.slot)
            else:
                self._put_off(child, child.process.returncode)
            child.process = child.line = None
            child.turn("waiting")
            self._end_orphans()

    def _end_orphans(self) -> None:
        if count := end_orphans(self._ours()):
            log.warning("orphans-ended", count=count)

    def _look_for_stuck(self) -> None:
        """A process that hangs is not dead, and does nothing: whoever watches the node should know. One that does not
        come to its end keeps its successor from starting."""
        for child in self._children:
            unheard_s = time.monotonic() - child.heard
            if child.role in BEATING and unheard_s > SILENT_AFTER_S and child.state == "ready":
                log.warning("process-silent", process=child.role, slot=child.slot)
                child.turn(SILENT)
            if child.state == RENEWING and unheard_s > DRAIN_S and child.process is not None:
                child.process.kill()

    @staticmethod
    def _put_off(child: Child, code: int) -> None:
        lived = time.monotonic() - child.started
        child.deaths = 0 if lived > STEADY_S else child.deaths + 1
        pause = min(RESTART_FIRST_S * 2.0 ** min(child.deaths, 20), RESTART_MAX_S)
        child.not_before = time.monotonic() + pause
        log.warning("process-died", process=child.role, slot=child.slot, exit_code=code, again_in_s=round(pause, 1))

    def _stop(self, folder: Path) -> None:
        """Ask each in turn to finish; what has not finished in time is killed, and taken up again at the next start."""
        log.info("node-stopping")
        deadline = time.monotonic() + DRAIN_S
        for child in self._children:
            if child.process is not None:
                child.process.terminate()
        for child in self._children:
            if child.process is None:
                continue
            try:
                child.process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                log.warning("process-killed", process=child.role, slot=child.slot)
                child.process.kill()
                child.process.wait()
            child.process = None
            child.turn("stopped")
        self._end_orphans()
        for child in self._children:
            if child.printing is not None:
                child.printing.join(1.0)
        self._report(folder)
        log.info("node-stopped")

    def _report(self, folder: Path) -> None:
        """Say on disk which processes there are; `isocenter status` reads it."""
        rows = [
            {
                "host": host_name(),
                "role": one.role,
                "slot": one.slot,
                "pid": one.process.pid if one.process else None,
                "state": one.state,
                "since": one.since.isoformat(),
            }
            for one in self._children
        ]
        target = folder / TOLD
        text = json.dumps(
            {"pid": os.getpid(), "host": host_name(), "since": self._since.isoformat(), "processes": rows}
        )
        if target.exists() and target.read_text() == text:
            return
        aside = target.with_suffix(".part")
        try:
            aside.write_text(text)
            aside.replace(target)
        except OSError as error:  # of a full disk; it is told anew once there is room
            log.warning("processes-not-told", why=error.strerror)


class _SignalPipe:
    """Signals as something one can select on."""

    def __init__(self, signals: tuple[signal.Signals, ...]) -> None:
        self.pipe, self._write = socket.socketpair()
        self.pipe.setblocking(False)
        self._write.setblocking(False)
        self.received = False
        signal.set_wakeup_fd(self._write.fileno())
        for one in signals:
            signal.signal(one, self._note)

    def _note(self, _number: int, _frame: object) -> None:
        self.received = True


def _socket_from_systemd() -> socket.socket | None:
    """The listening socket that systemd opened for us, if it did (sd_listen_fds(3))."""
    if os.environ.get("LISTEN_PID") != str(os.getpid()) or os.environ.get("LISTEN_FDS") != "1":
        return None
    return socket.socket(fileno=3)
