"""The journey of one study, timed: from the last image's acknowledgement to the results at a stand-in PACS."""

import json
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from node.core.job import JOB_ENDED, DeliveryState, JobState
from node.rehearsal.modality import send_study
from node.rehearsal.pacs import StandInPacs
from node.rehearsal.running import TITLE, RehearsalFailed, RunningNode, running_node
from node.sending.destination import Destination
from node.sending.dimse import DimseSender
from node.state import schema

QUIET_S = 2.0
LIMIT_S = 600.0
PEERS = '[[peer]]\nname = "pacs"\nae_title = "PACS"\naddress = "127.0.0.1"\nport = {port}\n'
ROUTES = '[[route]]\nname = "bench"\nmodel = "{model}"\ndestinations = ["pacs"]\n'


@dataclass(frozen=True)
class Timed:
    """One round. seconds by the name of what took them; peak_mb by process."""

    seconds: dict[str, float]
    peak_mb: dict[str, float]


def time_journey(files: Sequence[Path], model: str, folder: Path) -> Timed:
    """Start a node, send the files, wait for the results, stop it. Raises RehearsalFailed where they do not come."""
    with StandInPacs(folder / "pacs") as pacs:
        settings = {"gathering.quiet_s": str(QUIET_S)}
        start = time.monotonic()
        with running_node(
            folder / "node", peers=PEERS.format(port=pacs.port), routes=ROUTES.format(model=model), settings=settings
        ) as node:
            seconds = {"cold start to C-ECHO": _until_echo(node) - start}
            node.wait_until_ready()
            start = time.monotonic()
            send_study(files, "127.0.0.1", node.port, "BENCH", TITLE)
            acknowledged = time.monotonic()
            seconds["send"] = acknowledged - start
            delivered = _until_delivered(node)
            seconds |= _stages(node)
            seconds["last image to results, less quiet time"] = delivered - acknowledged - QUIET_S
            seconds["the same, less the model"] = delivered - acknowledged - QUIET_S - seconds["infer"]
            return Timed(seconds, _peaks(node))


def _until_echo(node: RunningNode) -> float:
    destination = Destination("node", TITLE, "127.0.0.1", node.port, "BENCH")
    for _ in node.until(60, "the node did not answer a C-ECHO"):
        if DimseSender().echo(destination).ok:
            return time.monotonic()
    raise AssertionError("unreachable: the wait ends by an answer or RehearsalFailed")


def _until_delivered(node: RunningNode) -> float:
    with node.ledger() as ledger:
        for _ in node.until(LIMIT_S, "the results were not delivered"):
            with ledger.read() as connection:
                delivery = connection.execute(schema.delivery.select()).mappings().first()
                job = connection.execute(schema.job.select()).mappings().first()
            if delivery is not None and delivery["state"] == DeliveryState.ACCEPTED.value:
                return time.monotonic()
            if job is not None and JobState(job["state"]) in JOB_ENDED - {JobState.ENCODED}:
                raise RehearsalFailed(f"the job ended as {job['state']}: {job['reason']}: {job['message']}")
    raise AssertionError("unreachable: the wait ends by a delivery or RehearsalFailed")


def _stages(node: RunningNode) -> dict[str, float]:
    with node.ledger() as ledger, ledger.read() as connection:
        attempts = connection.execute(schema.attempt.select().order_by(schema.attempt.c.id)).mappings().all()
        delivery = connection.execute(schema.delivery.select()).mappings().one()
    found = {one["stage"]: (one["ended_at"] - one["started_at"]).total_seconds() for one in attempts}
    return {**found, "deliver": (delivery["changed_at"] - delivery["first_try_at"]).total_seconds()}


def _peaks(node: RunningNode) -> dict[str, float]:
    """The most memory each process has used, in MB (VmHWM of proc(5))."""
    told = json.loads((node.home / "run" / "processes.json").read_text())
    pids = {f"{one['role']} {one['slot']}": one["pid"] for one in told["processes"]} | {"supervisor": told["pid"]}
    found = {}
    for name, pid in pids.items():
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        found[name] = int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 1024
    return found


@dataclass(frozen=True)
class Case:
    """One figure over all rounds."""

    name: str
    unit: str
    runs: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.runs)

    def as_json(self) -> dict[str, object]:
        """As design section 8 has it; there is nothing of others' to compare with."""
        return {"case": self.name, "unit": self.unit, "ours": {"runs": self.runs, "median": self.median}}


def cases_of(rounds: Sequence[Timed]) -> list[Case]:
    """The figures of all rounds, case by case."""
    seconds = [Case(name, "s", tuple(round(one.seconds[name], 3) for one in rounds)) for name in rounds[0].seconds]
    peaks = [
        Case(f"peak memory, {name}", "MB", tuple(round(one.peak_mb[name]) for one in rounds))
        for name in rounds[0].peak_mb
    ]
    return seconds + peaks
