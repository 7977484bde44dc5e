"""Kills processes of a running node at random moments under load, and settles what was lost or done twice."""

import json
import os
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import sqlalchemy as sa
from pydicom import dcmread
from pydicom.uid import UID

from node.bench.invariants import Balance, balance
from node.bench.sender import Journal, JournalingSender, acknowledged
from node.core.identity import derived_uid
from node.core.job import JOB_ENDED, DeliveryState, StudyState
from node.rehearsal.grid import ScanGrid
from node.rehearsal.journey import ROUTES
from node.rehearsal.pacs import StandInPacs
from node.rehearsal.phantom import write_study
from node.rehearsal.running import TITLE, RehearsalFailed, RunningNode, running_node
from node.sending.destination import Destination
from node.state import schema
from node.state.ledger import Ledger

TARGETS = ("receiver", "worker", "model", "service", "group")
GRID = ScanGrid(rows=64, columns=64, slices=51, pixel_spacing_mm=(5.25, 5.25), slice_spacing_mm=5.9)
"""As small as a chest may be for the model; what is shown here is not how good the model is."""
PEERS = '[[peer]]\nname = "pacs"\nae_title = "PACS"\naddress = "127.0.0.1"\nport = {port}\n'
SETTINGS = {"gathering.quiet_s": "4", "sending.backoff_first_s": "1", "log.level": "warning"}
AHEAD = 3
"""So many studies may be unfinished before the next one is sent: enough that every process has work at all times."""
OTHER_INSTANCES = 60
OTHER_PAUSE_S = 0.02
WAIT_S = (0.3, 2.0)
ANY_MOMENT_EVERY = 10
"""Every so-many-eth kill comes whatever the node does; the others wait for an open association or a running stage."""
VICTIM_LIMIT_S = 20.0
"""A victim that is not there for so long, because it is only just starting, is spared for another one."""
CRASHES_SPARED = 3
"""A stage that died so often is left alone: by design the fifth crash ends a job, whoever killed it."""
FINISH_LIMIT_S = 60.0
DRAIN_LIMIT_S = 600.0


@dataclass(frozen=True)
class KillsReport:
    """What `isocenter bench kills --json` prints. under_load: kills with an association open or a stage running."""

    kills: int
    under_load: int
    by_target: dict[str, int]
    seed: int
    studies: tuple[str, ...]
    balance: Balance

    @property
    def ok(self) -> bool:
        return self.balance.ok

    def as_json(self) -> dict[str, object]:
        kinds = {"kills": self.kills, "kills_under_load": self.under_load, "kills_by_target": self.by_target}
        return {**kinds, **asdict(self.balance), "seed": self.seed, "ok": self.ok}


def run_kills(
    folder: Path,
    kills: int,
    seed: int = 1,
    say: Callable[[str], None] = lambda _text: None,
    database_url: str = "",
) -> KillsReport:
    """Run a node in an empty folder, kill so often, wait until it has caught up, and settle the account.

    database_url: of an empty database; without one, an SQLite file.
    """
    settings = {**SETTINGS, "state.database_url": database_url}
    with ExitStack() as stack:
        pacs = stack.enter_context(StandInPacs(folder / "pacs"))
        node = stack.enter_context(
            running_node(folder / "node", peers=PEERS.format(port=pacs.port), routes=ROUTES, settings=settings)
        )
        template = write_study(folder / "phantom", GRID)
        node.wait_until_ready()
        load = Load(folder, node, template)
        stack.callback(load.stop)
        load.start()
        killer = Killer(node, load, random.Random(seed))  # noqa: S311  a random moment, not a secret
        for number in range(1, kills + 1):
            say(f"kill {number} of {kills}: {killer.kill()}")
        load.finish()
        say("waiting until the node has caught up")
        wait_until_settled(node, load.studies)
    studies = tuple(load.studies)
    account = settle(folder, studies, database_url)
    return KillsReport(kills, killer.under_load, killer.by_target, seed, studies, account)


def settle(folder: Path, studies: Sequence[str], database_url: str = "") -> Balance:
    """The account of a run in this folder, from what lies there now."""
    home = folder / "node" / "home"
    with closing(Ledger(database_url or f"sqlite:///{home / 'ledger.sqlite'}")) as ledger:
        return balance(ledger, home, acknowledged(folder / "journal"), studies, sorted((folder / "pacs").iterdir()))


class Load:
    """Two senders: studies that go the whole way, a few at a time, and others without pause that no route takes."""

    def __init__(self, folder: Path, node: RunningNode, template: list[Path]) -> None:
        self._folder, self._node, self._template = folder, node, template
        self.journal = Journal(folder / "journal")
        self.studies: list[str] = []
        self._enough, self._stop = threading.Event(), threading.Event()
        peer = Destination(name="node", ae_title=TITLE, host="127.0.0.1", port=node.port, our_ae_title="SCANNER")
        self._senders = [
            JournalingSender(peer, self.journal, self._stop),
            JournalingSender(peer, self.journal, self._stop, pause_s=OTHER_PAUSE_S),
        ]
        self._threads = [threading.Thread(target=self._send_chests), threading.Thread(target=self._send_others)]

    @property
    def is_sending(self) -> bool:
        """Whether an association is open."""
        return any(one.is_open.is_set() for one in self._senders)

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def finish(self) -> None:
        """Send what was begun to its end, and nothing new."""
        self._enough.set()
        for thread in self._threads:
            thread.join(FINISH_LIMIT_S)
            if thread.is_alive():
                raise RehearsalFailed(f"the node does not take what it is sent; see {self._node.log}")

    def stop(self) -> None:
        """Send nothing more, finished or not."""
        self._stop.set()
        self._enough.set()
        for thread in self._threads:
            thread.join()
        self.journal.close()

    def _send_chests(self) -> None:
        for number in self._numbers():
            uid, paths = copy_study(self._template, self._folder / "sent", f"chest {number}", "CT")
            if self._senders[0].send(uid, paths):
                self.studies.append(uid)
            while self._unfinished() >= AHEAD and not self._enough.wait(0.2):
                pass

    def _send_others(self) -> None:
        for number in self._numbers():
            uid, paths = copy_study(self._template[:OTHER_INSTANCES], self._folder / "sent", f"other {number}", "MR")
            self._senders[1].send(uid, paths)

    def _numbers(self) -> Iterator[int]:
        number = 0
        while not self._enough.is_set() and not self._stop.is_set():
            number += 1
            yield number

    def _unfinished(self) -> int:
        with self._node.ledger() as ledger, ledger.read() as connection:
            return len(self.studies) - len(_delivered(connection))


class Killer:
    """Chooses whom to kill and when, and notes whether anything was under way at that moment."""

    def __init__(self, node: RunningNode, load: Load, chance: random.Random) -> None:
        self._node, self._load, self._chance = node, load, chance
        self._killed_at = dict.fromkeys(TARGETS, datetime.min.replace(tzinfo=UTC))
        self.under_load = 0
        self.by_target = dict.fromkeys(TARGETS, 0)

    def kill(self) -> str:
        """One kill -9, at a random moment from now on; returns whom it met."""
        must_be_busy = (sum(self.by_target.values()) + 1) % ANY_MOMENT_EVERY != 0
        target, since = self._chance.choice(TARGETS), time.monotonic()
        while True:
            time.sleep(self._chance.uniform(*WAIT_S))  # the moment of the kill is what varies
            pid = self._node.process.pid if target == "group" else self._pid(target)
            running, spared = self._stages()
            busy = self._load.is_sending or running
            struck = {"worker", "model"} if target == "group" else {target}
            if pid is not None and not spared & struck and (busy or not must_be_busy):
                break
            if time.monotonic() - since > VICTIM_LIMIT_S:
                target, since = self._chance.choice(TARGETS), time.monotonic()
        self.under_load += busy
        self.by_target[target] += 1
        if target == "group":
            self._node.kill()
            self._node.start()
        else:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._killed_at[target] = datetime.now(UTC)
        return target

    def _pid(self, role: str) -> int | None:
        """The process of that role that is ready; None where there is none at this moment."""
        try:
            told = json.loads((self._node.home / "run" / "processes.json").read_text())
        except FileNotFoundError:
            return None
        found = [one for one in told["processes"] if one["role"] == role and one["state"] == "ready"]
        return self._chance.choice(found)["pid"] if found and told["pid"] == self._node.process.pid else None

    def _stages(self) -> tuple[bool, set[str]]:
        """Whether a stage is running, and roles whose running stage has died too often to be killed again."""
        table = schema.attempt
        with self._node.ledger() as ledger, ledger.read() as connection:
            rows = connection.execute(sa.select(table)).all()
        spared = set()
        is_running = False
        for one in (row for row in rows if row.ended_at is None):
            role = "model" if one.stage == "infer" else "worker"
            is_running |= one.started_at > max(self._killed_at[role], self._killed_at["group"])
            same = [row for row in rows if (row.job_id, row.run, row.stage) == (one.job_id, one.run, one.stage)]
            if len(same) > CRASHES_SPARED:
                spared.add(role)
        return is_running, spared


def copy_study(template: list[Path], folder: Path, name: str, modality: str) -> tuple[str, list[Path]]:
    """The same images as another study of another patient, whose UIDs derive from its name."""
    uids = [derived_uid("kills", name, part) for part in ("study", "series", "frame of reference")]
    place = folder / name
    place.mkdir(parents=True)
    paths = []
    for number, path in enumerate(template):
        image = dcmread(path)
        image.StudyInstanceUID, image.SeriesInstanceUID, image.FrameOfReferenceUID = uids
        image.SOPInstanceUID = UID(derived_uid("kills", name, str(number)))
        image.file_meta.MediaStorageSOPInstanceUID = image.SOPInstanceUID
        image.PatientID, image.Modality = name, modality
        paths.append(place / path.name)
        image.save_as(paths[-1], enforce_file_format=True)
    return uids[0], paths


def wait_until_settled(node: RunningNode, studies: list[str], limit_s: float = DRAIN_LIMIT_S) -> None:
    """Return when each study is complete, its jobs have ended and their results are delivered."""
    with node.ledger() as ledger:
        for _ in node.until(limit_s, "the node has not caught up"):
            if _is_settled(ledger, studies):
                return


def _is_settled(ledger: Ledger, studies: list[str]) -> bool:
    with ledger.read() as connection:
        columns = sa.select(schema.study.c.study_uid).where(schema.study.c.state == StudyState.COMPLETE.value)
        complete = set(connection.execute(columns).scalars())
        jobs = set(connection.execute(sa.select(schema.job.c.state)).scalars())
        deliveries = set(connection.execute(sa.select(schema.delivery.c.state)).scalars())
    ended = {state.value for state in JOB_ENDED}
    sent = {DeliveryState.ACCEPTED.value, DeliveryState.PROVEN.value}
    return complete >= set(studies) and jobs <= ended and deliveries <= sent


def _delivered(connection: sa.Connection) -> set[str]:
    query = sa.select(schema.delivery.c.job_id).where(schema.delivery.c.state == DeliveryState.ACCEPTED.value)
    return set(connection.execute(query).scalars())
