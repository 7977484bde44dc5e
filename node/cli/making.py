"""Commands for whoever makes a model: models preview, models check."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from node.cli import here, offline
from node.errors import ConfigurationInvalid

if TYPE_CHECKING:
    from ai.contract import Model
    from ai.volume import Inputs

Name = Annotated[str, typer.Argument(help="A model's name, as `isocenter models list` shows it.")]


def add_to(_app: typer.Typer) -> None:
    offline.models.command()(preview)
    offline.models.command()(check)


def preview(
    name: Name,
    path: Annotated[Path, typer.Argument(help="A folder with one study, or one file.")],
    out: Annotated[Path, typer.Option(help="Folder for the pictures; it must be empty or not there yet.")],
) -> None:
    """Write a picture (PNG) of a study after each step of a model's preparation.

    Exit code 3: a step refuses the images; the pictures of the steps before it are there.

    Example: isocenter models preview lung-ct ~/studies/chest --out steps
    """
    from ai.errors import ModelRefused
    from ai.preparation.preview import pictures
    from ai.registry import find_model

    model = find_model(name, here.models_folder())
    if out.exists() and any(out.iterdir()):
        raise ConfigurationInvalid(f"{out} is not empty: pictures are never written over others; name another folder")
    inputs = _inputs(model, path)
    out.mkdir(parents=True, exist_ok=True)
    try:
        for title, picture in pictures(inputs, model.card.prepare):
            (out / f"{title}.png").write_bytes(picture)
            print(out / f"{title}.png")
    except ModelRefused as refused:
        print(f"refused: {refused}")
        raise typer.Exit(3) from refused
    if not model.card.prepare:
        print(f"{name} prepares its images in its own code: its card has no [[prepare]] steps")


def check(
    name: Name,
    path: Annotated[
        Path | None, typer.Argument(help="A folder with a study that the model should take; else made images are used.")
    ] = None,
    as_json: offline.AsJson = False,
) -> None:
    """Check what every model promises: geometry, orientation, refusals, memory, time, the same answer every time.

    Each property gets as long as the card allows for a prediction (timeout_s). Exit code 1: something does not hold;
    the line below it says what to mend.

    Example: isocenter models check lung-ct ~/studies/chest
    """
    from ai.device import Device
    from ai.registry import find_model
    from ai.testing.apart import check_apart
    from node.rehearsal.samples import made_inputs

    find = partial(find_model, name, here.models_folder())
    samples = [_inputs(find(), path)] if path else made_inputs(find())
    verdicts = []
    console = Console(stderr=True)
    with console.status("") as shown:
        for one in check_apart(find, samples, Device(), begin=lambda what: shown.update(f"{what} …")):
            verdicts.append(one)
            if not as_json:
                print(f"{'yes' if one.holds else 'NO ':3} {one.name}: {one.seen}", flush=True)
            if one.mend and not as_json:
                print(f"    → {one.mend}", flush=True)
    if as_json:
        rows = [
            {"holds": "yes" if one.holds else "NO", "property": one.name, "seen": one.seen, "mend": one.mend}
            for one in verdicts
        ]
        here.show(rows, as_json=True, empty="")
    failed = sum(not one.holds for one in verdicts)
    if not as_json:
        print(f"{name}: {len(verdicts) - failed} of {len(verdicts)} properties hold")
    if failed:
        raise typer.Exit(1)


def _inputs(model: "Model", path: Path) -> "Inputs":
    """What the node would give the model of the study in a folder."""
    from node.jobs.inputs import read_inputs

    folder, chosen = offline.chosen_stacks(model, path)
    siblings = {
        name: [one for one in folder.stacks if one.series_uid == stack.series_uid] for name, stack in chosen.items()
    }
    inputs, _ = read_inputs(chosen, siblings, model.card, folder.paths, folder.study_uid)
    return inputs
