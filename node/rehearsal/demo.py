"""Shows the whole journey to a person: runs it, leaves what came back in a folder, and compares it with the truth."""

import shutil
import tempfile
import time
from pathlib import Path

from rich.console import Console

from node.errors import ConfigurationInvalid
from node.rehearsal.journey import Rehearsed, Step, rehearse
from node.rehearsal.verdict import write_report

LEFT = frozenset(
    {
        "demo.json",
        "measurements.json",
        "node.log",
        "overlay.png",
        "report.json",
        "seg.dcm",
        "sr.dcm",
        "summary",
        "text.dcm",
    }
)
"""What a demo leaves in its folder."""


def run_demo(out: Path) -> bool:
    """Run the demo and leave its results in `out`; True where everything came back and matches the truth.

    Raises ConfigurationInvalid where `out` holds something that is not an earlier demo's.
    """
    console = Console()
    clear(out)
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="isocenter-demo-") as name, console.status("") as shown:

        def tell(step: Step, words: str) -> None:
            if not words:
                shown.update(f"{step.value} …")

        try:
            done = rehearse(Path(name), tell)
        finally:
            _keep_log(Path(name), out)
        write_report(out, done.verdict, done.stages, done.arrived)
    _tell(console, out, done, time.monotonic() - started)
    return done.verdict.ok


def _keep_log(folder: Path, out: Path) -> None:
    """The node's log is kept beside the results, whatever became of the demo."""
    log = folder / "node" / "node.log"
    if log.exists():
        shutil.copy(log, out / log.name)


def clear(out: Path) -> None:
    """Remove an earlier demo's results, and nothing else. Raises ConfigurationInvalid where anything else is there."""
    strange = sorted({one.name for one in out.iterdir()} - LEFT) if out.exists() else []
    if strange:
        raise ConfigurationInvalid(
            f"{out} holds {strange[0]}, which is not an earlier demo's; name another folder with --out"
        )
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)


def _tell(console: Console, out: Path, done: Rehearsed, total_s: float) -> None:
    """The report for a person."""
    console.print(done.verdict.table())
    for name, seconds in done.stages.items():
        console.print(f"  {name:<22}{seconds:6.1f} s")
    console.print(f"  {'in all':<22}{total_s:6.1f} s\n")
    for fault in done.verdict.faults:
        console.print(f"[red]{fault}[/red]")
    console.print(f"Look at [bold]{out / 'overlay.png'}[/bold] and {out / 'summary'}; the objects are in {out}.")
    console.print(
        "[green]Everything came back and matches the truth.[/green]"
        if done.verdict.ok
        else "[red]The demo failed.[/red]"
    )
