"""What is acknowledged is durable: the order of the system's calls, seen by strace, and kills at any moment.

Each proof is made twice: with the receiver as it is, and with one that is broken on purpose, on which it must fail.
"""

import os
import random
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from node.settings import Configuration
from node.state.spool import Spool
from tests.makers.elements import STUDY, ct
from tests.makers.part10 import data_set_of, part10
from tests.makers.programs import ENDS_WITH_US
from tests.makers.receiver import CONFIGURATION, run, wait_for

pytestmark = pytest.mark.real("dcmtk")

RECEIVER = """
import json, signal, socket, sys, threading
from pathlib import Path
from node.intake.listener import run_receiver
from node.settings import Configuration
stop = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: stop.set())
configuration = Configuration.model_validate(json.loads(sys.argv[2]))
listening = socket.socket(fileno=int(sys.argv[3]))
run_receiver(configuration, listening, Path(sys.argv[1]), stop, lambda: print("ready", flush=True))
"""


@contextmanager
def receiver(home: Path, listening: socket.socket, *before: str, changed: str = "") -> Iterator[subprocess.Popen[str]]:
    """A receiver as a process of its own. before: a program that starts it; changed: Python that breaks it first."""
    configuration = Configuration.model_validate(CONFIGURATION).model_dump_json(by_alias=True)
    program = [sys.executable, "-c", changed + RECEIVER, home, configuration, str(listening.fileno())]
    command = [*ENDS_WITH_US, *before, *ENDS_WITH_US, *program]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, pass_fds=[listening.fileno()], start_new_session=True
    )
    with process:
        try:
            assert process.stdout is not None
            while process.stdout.readline() not in ("ready\n", ""):
                pass
            yield process
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


# The order

STEPS = {
    "write": r"write\(\d+<\S+/aside/\w+\.part>",
    "sync file": r"fsync\(\d+<\S+/aside/\w+\.part>",
    "name": r"link\w*\(.*instances/\S+\.dcm",
    "sync folder": rf"fsync\(\d+<\S+/instances/{re.escape(STUDY)}>",
    "sync parent": r"fsync\(\d+<\S+/instances>",
    "respond": r'sendto\(\d+<\S+>, "\\4',
}


SMALL, LARGE = bytes(2048), bytes(700_000)
"""Pixels of instances that are written at once, and directly in several pieces."""


def steps_before_each_response(tmp_path: Path, changed: str = "", pixels: bytes = SMALL) -> list[str]:
    """What the receiver did before each of five responses, in the order in which the system saw it."""
    uids = [f"1.2.3.{number}" for number in range(5)]
    files = [part10(tmp_path / f"{uid}.dcm", ct(instance=uid, pixels=pixels), instance=uid) for uid in uids]
    trace = tmp_path / "trace"
    strace = ("strace", "-f", "-y", "-s", "16", "-o", str(trace), "-e", "trace=openat,write,fsync,link,linkat,sendto")
    with (
        socket.create_server(("127.0.0.1", 0)) as listening,
        receiver(tmp_path / "home", listening, *strace, changed=changed),
    ):
        port = str(listening.getsockname()[1])
        assert run("dcmsend", "-aet", "SENDER", "-aec", "ISOCENTER", "127.0.0.1", port, *files).returncode == 0
    lines = trace.read_text().splitlines()
    steps = [step for line in lines for step, pattern in STEPS.items() if re.search(pattern, line)]
    return " ".join(steps).split("respond")[:-1]


def is_durable(before: str) -> bool:
    """Write, sync, name, sync of the folder, and nothing else in between."""
    return re.fullmatch(r" *write( write)* sync file( sync parent)?( name)+ sync folder ", before) is not None


@pytest.mark.real("strace")
@pytest.mark.parametrize("pixels", [SMALL, LARGE])
def test_every_acknowledgement_comes_after_the_instance_is_durable(tmp_path: Path, pixels: bytes) -> None:
    responses = steps_before_each_response(tmp_path, pixels=pixels)

    assert len(responses) == 5
    assert [one for one in responses if not is_durable(one)] == []
    assert "sync parent" in responses[0]


NO_SYNC = "from node.state.spool import Spool; Spool._sync = lambda self, descriptor: None"
NO_SYNC_OF_THE_FILE = "from node.state.draft import Draft; Draft.seal = lambda self: None"
NO_SYNC_OF_THE_FOLDER = "from node.state.spool import Spool; Spool._make_durable = lambda self, folder: None"
NAMED_FIRST = """
from node.state.draft import Draft
from node.state.spool import Spool
seal, name = Draft.seal, Spool._name
Draft.seal = lambda self: None
def name_first(self, draft, *rest, **more):
    outcome = name(self, draft, *rest, **more)
    seal(draft)
    return outcome
Spool._name = name_first
"""


@pytest.mark.real("strace")
@pytest.mark.parametrize("changed", [NO_SYNC, NO_SYNC_OF_THE_FILE, NO_SYNC_OF_THE_FOLDER, NAMED_FIRST])
@pytest.mark.parametrize("pixels", [SMALL, LARGE])
def test_a_receiver_without_that_order_is_seen(tmp_path: Path, changed: str, pixels: bytes) -> None:
    """The control."""
    responses = steps_before_each_response(tmp_path, changed, pixels)

    assert len(responses) == 5
    assert [one for one in responses if is_durable(one)] == []


# The kills


@dataclass(frozen=True)
class Outcome:
    """What the senders saw acknowledged and what is in the spool, as data sets, after some kills; all that was sent."""

    home: Path
    sent: dict[str, bytes]
    acknowledged: set[bytes]
    kept: set[bytes]


def send_through_kills(tmp_path: Path, changed: str = "") -> Outcome:
    """Storescu sends sixty instances to a receiver that is killed meanwhile, three times; then once in peace."""
    sent: dict[str, bytes] = {}
    for number in range(60):
        instance = f"1.2.3.{number}"
        data_set = ct(instance=instance, pixels=random.Random(number).randbytes(50_000))
        sent[str(part10(tmp_path / f"{number}.dcm", data_set, instance=instance))] = data_set
    home = tmp_path / "home"
    acknowledged: set[bytes] = set()

    def send(port: int) -> None:
        done = run("storescu", "-v", "-aet", "SENDER", "-aec", "ISOCENTER", "127.0.0.1", str(port), *sent)
        current = ""
        for line in (done.stdout + done.stderr).splitlines():
            current = line.removeprefix("I: Sending file: ") if "Sending file" in line else current
            if "Received Store Response (Success)" in line:
                acknowledged.add(sent[current])

    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        for kill_at in (7, 23, 41):
            with receiver(home, listening, changed=changed) as process:
                assert not list((home / "spool" / "aside").iterdir())
                sender = threading.Thread(target=send, args=(port,))
                sender.start()
                wait_for(lambda at=kill_at: len(list(home.rglob("instances/*/*.dcm"))) >= at)
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                sender.join()
    return Outcome(home, sent, acknowledged, {data_set_of(path) for path in home.rglob("instances/*/*.dcm")})


def test_nothing_acknowledged_is_lost_when_the_receiver_is_killed(tmp_path: Path) -> None:
    """SIGKILL in the middle of sending, again and again: what storescu saw acknowledged is there, byte by byte, and
    what it sends again completes it."""
    found = send_through_kills(tmp_path)

    assert len(found.acknowledged) >= 30
    assert found.acknowledged <= found.kept <= set(found.sent.values())
    with socket.create_server(("127.0.0.1", 0)) as listening, receiver(found.home, listening):
        port = str(listening.getsockname()[1])
        assert run("storescu", "-aet", "SENDER", "-aec", "ISOCENTER", "127.0.0.1", port, *found.sent).returncode == 0
    kept = [data_set_of(path) for path in found.home.rglob("instances/*/*.dcm")]
    assert sorted(kept) == sorted(found.sent.values())
    assert len(list(Spool(found.home).arrivals())) == len(kept)


ANSWERED_BEFORE_IT_IS_KEPT = """
from node.intake.door import Passage, Taken
from node.state.spool import Outcome, Published
finish, held = Passage.finish, []
def finish_later(self):
    self.close = lambda: None
    held.append(self)
    while len(held) > 4:
        finish(held.pop(0))
    return Taken("1.2", Published(Outcome.NEW, None, 0))
Passage.finish = finish_later
"""


def test_a_receiver_that_answers_before_it_keeps_is_seen(tmp_path: Path) -> None:
    """The control: with four instances in hand that are answered and not yet kept, the kills lose some."""
    found = send_through_kills(tmp_path, ANSWERED_BEFORE_IT_IS_KEPT)

    assert found.acknowledged - found.kept
