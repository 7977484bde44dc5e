"""Commands that measure: bench."""

import math
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from node.cli import here

if TYPE_CHECKING:
    from collections.abc import Sequence

    from node.bench.figures import Case

bench = typer.Typer(help="Figures of this node on this machine.", no_args_is_help=True)
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


def add_to(app: typer.Typer) -> None:
    app.add_typer(bench, name="bench")


@bench.callback()
def benches() -> None:
    """Figures of this node on this machine."""


@bench.command()
def kills(
    kills: Annotated[int, typer.Option(min=1, help="How often to kill.")] = 100,
    seed: Annotated[int, typer.Option(help="Of the moments and victims; they depend on the machine, too.")] = 1,
    database_url: Annotated[
        str, typer.Option(help="Of an empty PostgreSQL database for the ledger; without it, an SQLite file.")
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Kill a node's processes (kill -9) at random moments under load, and count what was lost or done twice.

    The node, its PACS and its senders are made for this and removed at the end. Exit code 1: something was.

    Example: isocenter bench kills --kills 20

    Example: isocenter bench kills --database-url postgresql://isocenter@localhost/kills
    """
    from node.bench.kills import run_kills

    console = Console(stderr=True)
    with tempfile.TemporaryDirectory(prefix="isocenter-kills-") as folder, console.status("starting a node") as shown:
        report = run_kills(Path(folder), kills, seed, shown.update, database_url)
    rows = report.as_json()
    if as_json:
        here.tell(rows)
    else:
        print("\n".join(f"{name}: {value}" for name, value in rows.items()))
    raise typer.Exit(0 if report.ok else 1)


@bench.command()
def journey(
    path: Annotated[Path, typer.Argument(help="A folder with one study.")],
    model: Annotated[str, typer.Option(help="The model that runs on it.")] = "lung-ct",
    rounds: Annotated[int, typer.Option(min=1, help="How often; medians are shown.")] = 3,
    as_json: AsJson = False,
) -> None:
    """Time a study's way through a node of its own: start, stages, last image to results, memory of each process.

    Example: isocenter bench journey ~/studies/chest --rounds 5
    """
    from node.bench import journey as timed
    from node.jobs.folder import read_folder

    files = sorted(read_folder(path).paths.values())
    console = Console(stderr=True)
    found = []
    for number in range(rounds):
        with tempfile.TemporaryDirectory(prefix="isocenter-bench-") as folder, console.status("") as shown:
            shown.update(f"round {number + 1} of {rounds}")
            found.append(timed.time_journey(files, model, Path(folder)))
    cases = timed.cases_of(found)
    if as_json:
        here.tell({"cases": [one.as_json() for one in cases]})
        return
    rows = [{"case": one.name, "median": one.median, "unit": one.unit} for one in cases]
    here.show(rows, as_json=False, empty="")


@bench.command()
def receive(
    rounds: Annotated[int, typer.Option(min=1, help="How often each case is measured.")] = 5,
    folder: Annotated[
        Path,
        typer.Option(exists=True, file_okay=False, help="Where to write: on the disk that the node's home will use."),
    ] = Path("/var/tmp"),  # noqa: S108  not /tmp, which is memory on some systems
    as_json: AsJson = False,
) -> None:
    """How fast the receiver is: beside Orthanc and DCMTK where they are installed, in turn, by medians.

    It takes some minutes, and some gigabytes that it removes again. Exit code 1: a case is slower than it should be.

    Example: isocenter bench receive --rounds 3
    Example: isocenter bench receive --folder /srv/isocenter
    """
    from node.bench.receive import run_receive

    console = Console(stderr=True)
    with tempfile.TemporaryDirectory(prefix="isocenter-receive-", dir=folder) as place, console.status("") as shown:
        cases = run_receive(Path(place), rounds, shown.update)
    _show(cases, as_json=as_json)


@bench.command()
def model(
    rounds: Annotated[int, typer.Option(min=1, help="How often each case is measured; medians are shown.")] = 3,
    as_json: AsJson = False,
) -> None:
    """What the model stage costs around a network: windows beside MONAI's, resampling, overhead, a queue of ten.

    It takes some minutes and 4 GB of memory. Exit code 1: a case is slower than it should be.

    Example: isocenter bench model --rounds 5
    """
    from ai.networks.extras import require
    from node.bench.model import run_model_figures

    require("torch", "bench model")

    console = Console(stderr=True)
    with console.status("") as shown:
        cases = list(run_model_figures(rounds, shown.update))
    _show(cases, as_json=as_json)


def _show(cases: "Sequence[Case]", *, as_json: bool) -> None:
    """Cases beside what they are compared with; exit code 1 where one is slower than it should be."""
    if as_json:
        here.tell({"cases": [one.as_json() for one in cases]})
    else:
        here.show([_shown(one) for one in cases], as_json=False, empty="")
    raise typer.Exit(0 if all(one.is_met for one in cases) else 1)


@bench.command()
def window(
    studies: Annotated[int, typer.Option(min=100, help="How many are in the ledger; ten events each.")] = 100_000,
    rounds: Annotated[int, typer.Option(min=1, help="How often each page is asked for.")] = 20,
    keep: Annotated[
        Path | None, typer.Option(help="A folder in which the filled ledger stays, for the next time.")
    ] = None,
    database_url: Annotated[
        str,
        typer.Option(help="Of a PostgreSQL database for this alone, which stays filled; without it, SQLite."),
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Fill a ledger as a busy site has it, and time every page of the operator's window on it.

    Exit code 1: a page takes more than 100 ms (median) or 300 ms (95 of 100), or the live overview 2 % of a core.

    Example: isocenter bench window --keep /tmp/filled

    Example: isocenter bench window --database-url postgresql://isocenter@localhost/filled
    """
    from node.bench.window import measure

    console = Console(stderr=True)
    with tempfile.TemporaryDirectory(prefix="isocenter-window-") as folder, console.status("") as shown:
        place = keep or Path(folder)
        place.mkdir(parents=True, exist_ok=True)
        report = measure(place, studies, rounds, shown.update, database_url)
    rows = [
        {
            "page": one.name,
            "median_ms": round(one.median_ms, 1),
            "p95_ms": round(one.most_ms, 1),
            "ok": "yes" if one.ok else "no",
        }
        for one in report.pages
    ]
    here.show(rows, as_json=as_json, empty="")
    if not as_json:
        print(
            f"\n{report.studies} studies, {report.events} events; the live overview: {report.live_share:.2%} of a core"
        )
    raise typer.Exit(0 if report.ok else 1)


@bench.command()
def encode(
    rounds: Annotated[int, typer.Option(min=1, help="How often each case is measured.")] = 3,
    as_json: AsJson = False,
) -> None:
    """How long results take to encode, check and save: beside dcmqi where it is installed, in turn, by medians.

    Each is made in a process of its own that is warm, as a worker is when a job comes. Times alone begin with masks in
    memory; beside dcmqi, both begin with the files of the source and of the masks.

    It takes some minutes, and a gigabyte in the folder for temporary files. Exit code 1: a case needs more than it
    should.

    Example: isocenter bench encode --rounds 5

    Example: isocenter bench encode --rounds 1 --json
    """
    from node.bench.encode import run_encode

    console = Console(stderr=True)
    with tempfile.TemporaryDirectory(prefix="isocenter-encode-") as folder, console.status("") as shown:
        cases = run_encode(Path(folder), rounds, shown.update)
    _show(cases, as_json=as_json)


def _shown(one: "Case") -> dict[str, object]:
    """A case as a row of a table."""
    return {
        "case": one.name,
        "ours": f"{one.ours.median:.3g} {one.unit}" if one.ours else "skipped",
        "theirs": f"{one.theirs.median:.3g} {one.unit}" if one.theirs else "",
        "ratio": "" if one.ratio is None else f"{one.ratio:.2f}",
        "should be": "" if math.isinf(one.most) else f"<= {one.most:g}",
        "compared with": f"{one.theirs.name} {one.theirs.version}" if one.theirs else one.skipped,
    }
