"""Commands around networks' weights: train one from labelled images, and compare a model with labels."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress

from node.cli import here, offline
from node.errors import ConfigurationInvalid

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
EVERY = "Take only cases whose place in the order of names, counted from 0, leaves one of --rests modulo this."


def add_to(app: typer.Typer) -> None:
    app.command()(train)
    offline.models.command()(evaluate)


def train(
    plan: Annotated[Path, typer.Argument(help="A train.toml beside the card of the model that is to be trained.")],
    out: Annotated[Path, typer.Option(help="Folder for checkpoint, reports and the model's folder, `bundle`.")],
    cases: Annotated[Path | None, typer.Option(help="Folder with images/ and labels/, instead of the plan's.")] = None,
    start: Annotated[
        Path | None, typer.Option(help="A model's folder with the same network, whose weights to begin with.")
    ] = None,
) -> None:
    """Train a model's network. A training that was interrupted goes on where it was: run it again.

    Example: isocenter train ai/models/hippocampus/train.toml --out hippocampus

    Example: isocenter train my-model/train.toml --out finer --start ai/models/hippocampus
    """
    from ai.networks.extras import require
    from ai.training.plan import read_plan
    from ai.training.report import page

    require("torch", "training")
    from ai.training.run import train as run

    read = read_plan(plan, cases)
    with Progress(console=Console(stderr=True)) as progress:
        task = progress.add_task("training", total=read.schedule.epochs)

        def say(epoch: int, line: str) -> None:
            progress.update(task, completed=epoch)
            progress.console.print(line, highlight=False)

        figures = run(plan.parent, read, out, say, start)
    print(page("Figures", figures))
    print(f"The model's folder is {out / 'bundle'}; put it into config/models under the model's name to run it.")


def evaluate(
    model: Annotated[str, typer.Argument(help="A model's name, as `isocenter models list` shows it.")],
    folder: Annotated[Path, typer.Argument(help="Folder with images/ and labels/, files of the same names.")],
    every: Annotated[int | None, typer.Option(min=2, help=EVERY)] = None,
    rests: Annotated[str, typer.Option(help="Whole numbers, joined by commas; with --every.")] = "",
    as_json: AsJson = False,
) -> None:
    """Run a model on labelled images, as a node would, and say how well it agrees: Dice, precision, recall, confusion.

    Label 1 is the first segment of the model's card, label 2 the second, and so on; 0 is background.

    Example: isocenter models evaluate hippocampus ~/data/hippocampus --every 13 --rests 0,4,8
    """
    from ai.device import Device
    from ai.registry import find_model
    from ai.training import evaluation
    from ai.training.cases import choose, find_cases
    from ai.training.report import as_json as plain
    from ai.training.report import confusion_rows, label_rows

    found, cases = find_model(model, here.models_folder()), find_cases(folder)
    if every is not None:
        cases = choose(cases, every, _numbers(rests))
    if not cases:
        raise ConfigurationInvalid(f"--every {every} --rests {rests!r} leave no case of {folder}")
    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("evaluating", total=len(cases))
        figures = evaluation.evaluate(found, cases, Device(), done=lambda: progress.advance(task))
    if as_json:
        here.tell({"model": found.card.name, "digest": found.card.digest, **plain(figures)})
        return
    print(f"{found.card.name} {found.card.version}, {len(cases)} cases\n")
    here.show(label_rows(figures), as_json=False, empty="")
    print("\nvoxels, by true and found label")
    here.show(confusion_rows(figures), as_json=False, empty="")


def _numbers(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(one) for one in text.split(","))
    except ValueError as error:
        raise ConfigurationInvalid(f"--rests must be whole numbers joined by commas, found {text!r}") from error
