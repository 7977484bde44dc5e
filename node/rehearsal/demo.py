"""The whole journey on one machine: a phantom goes in by C-STORE, results come back and are judged."""

import shutil
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from node.core.job import JOB_ENDED, DeliveryState, JobState
from node.errors import ConfigurationInvalid
from node.rehearsal.modality import send_study
from node.rehearsal.pacs import StandInPacs
from node.rehearsal.phantom import DEMO, truth, write_study
from node.rehearsal.running import TITLE, RehearsalFailed, RunningNode, running_node
from node.rehearsal.verdict import Verdict, judge, write_report
from node.state import outbox, schema, work
from node.state.ledger import Ledger
from node.state.rows import DeliveryRow, JobRow

PACS_TITLE, MODALITY_TITLE = "DEMO-PACS", "DEMO-CT"
PEERS = '[[peer]]\nname = "pacs"\nae_title = "{title}"\naddress = "127.0.0.1"\nport = {port}\n'
ROUTES = """
[[route]]
name = "lung-ct"
when = "'CT' in study.modalities"
model = "lung-ct"
destinations = ["pacs"]
"""
JOURNEY_LIMIT_S = 150.0
QUIET_S = 2.0


@dataclass(frozen=True)
class Journey:
    """What happened on the way. stages: seconds by name, in their order."""

    stages: dict[str, float]
    job: JobRow
    delivery: DeliveryRow


def run_demo(out: Path) -> bool:
    """Run the demo and leave its results in `out`; True where everything came back and matches the truth.

    Raises ConfigurationInvalid where `out` holds something that is not an earlier demo's.
    """
    console = Console()
    _clear(out)
    started = time.monotonic()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="isocenter-demo-")))
        pacs = stack.enter_context(StandInPacs(folder / "pacs", PACS_TITLE))
        node = stack.enter_context(
            running_node(
                folder / "node",
                peers=PEERS.format(title=PACS_TITLE, port=pacs.port),
                routes=ROUTES,
                settings={"gathering.quiet_s": str(QUIET_S)},
            )
        )
        stack.callback(_keep_log, node, out)
        with console.status("making a phantom: a chest with known lungs"):
            files = write_study(folder / "phantom", DEMO)
        made_s = time.monotonic() - started
        with console.status("starting the node"):
            node.wait_until_ready()
        with console.status(f"sending {len(files)} images to the node by C-STORE"):
            sending = time.monotonic()
            answers = send_study(files, "127.0.0.1", node.port, MODALITY_TITLE, TITLE)
            sent_s = time.monotonic() - sending
        refused = [f"{status!r}" for _, status in answers if status != 0]
        if refused:
            raise RehearsalFailed(
                f"the node refused {len(refused)} images (status {refused[0]}); see {out / 'node.log'}"
            )
        journey = _follow(node, console, {"make phantom": made_s, "send": sent_s})
        with console.status("comparing what came back with the truth"):
            verdict = judge([one.path for one in pacs.arrivals], files, truth(DEMO))
        write_report(out, verdict, journey.stages, [one.path for one in pacs.arrivals])
    _tell(console, out, verdict, journey, time.monotonic() - started)
    return verdict.ok


def _follow(node: RunningNode, console: Console, before: dict[str, float]) -> Journey:
    """Watch the ledger until the study's results are delivered."""
    with console.status("waiting until the study is complete") as shown, node.ledger() as ledger:
        for _ in node.until(JOURNEY_LIMIT_S, "the results did not come back"):
            job, delivery = _look(ledger)
            if job is None:
                continue
            shown.update(
                f"job {job.id}: {job.state.value}" + (f", delivery {delivery.state.value}" if delivery else "")
            )
            if job.state in JOB_ENDED - {JobState.ENCODED}:
                raise RehearsalFailed(f"the job ended as {job.state.value}: {job.reason}: {job.message}")
            if delivery is not None and delivery.state is DeliveryState.ACCEPTED:
                return Journey({**before, **_stages(ledger, job, delivery)}, job, delivery)
    raise AssertionError("unreachable: the wait ends by success or RehearsalFailed")


def _look(ledger: Ledger) -> tuple[JobRow | None, DeliveryRow | None]:
    with ledger.read() as connection:
        row = connection.execute(schema.job.select()).mappings().first()
        if row is None:
            return None, None
        job = work.get_job(connection, row["id"])
        return job, next(iter(outbox.deliveries_of(connection, job.id)), None)


def _stages(ledger: Ledger, job: JobRow, delivery: DeliveryRow) -> dict[str, float]:
    """Seconds of each stage: quiet time, the work of the stages, sending, and what lay between them."""
    with ledger.read() as connection:
        last_at = connection.execute(schema.study.select()).mappings().one()["last_at"]
        attempts = connection.execute(schema.attempt.select().order_by(schema.attempt.c.id)).mappings().all()
    found = {"gather (quiet time)": (job.created_at - last_at).total_seconds()}
    for one in attempts:
        if one["outcome"] == "done":
            found[one["stage"]] = (one["ended_at"] - one["started_at"]).total_seconds()
    sending = delivery.first_try_at or delivery.created_at
    found["deliver"] = (delivery.changed_at - sending).total_seconds()
    worked = sum(found.values())
    found["between stages"] = (delivery.changed_at - last_at).total_seconds() - worked
    return found


def _keep_log(node: RunningNode, out: Path) -> None:
    """The node's log is kept beside the results, whatever became of the demo."""
    if node.log.exists():
        shutil.copy(node.log, out / "node.log")


def _clear(out: Path) -> None:
    """Remove an earlier demo's results, and nothing else."""
    if out.exists() and any(out.iterdir()) and not (out / "demo.json").exists() and not (out / "node.log").exists():
        raise ConfigurationInvalid(
            f"{out} holds something that is not an earlier demo's; name another folder with --out"
        )
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)


def _tell(console: Console, out: Path, verdict: Verdict, journey: Journey, total_s: float) -> None:
    """The report for a person."""
    console.print(verdict.table())
    for name, seconds in journey.stages.items():
        console.print(f"  {name:<22}{seconds:6.1f} s")
    console.print(f"  {'in all':<22}{total_s:6.1f} s\n")
    for fault in verdict.faults:
        console.print(f"[red]{fault}[/red]")
    console.print(f"Look at [bold]{out / 'overlay.png'}[/bold] and {out / 'summary'}; the objects are in {out}.")
    console.print(
        "[green]Everything came back and matches the truth.[/green]" if verdict.ok else "[red]The demo failed.[/red]"
    )
