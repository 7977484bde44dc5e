"""The commands together, and what an error means for the exit code."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from ai.errors import CardInvalid, CasesInvalid, ModelError, ModelRefused, ModelUnknown, PlanInvalid
from node import __version__
from node.cli import (
    arriving,
    benches,
    choosing,
    lists,
    making,
    offline,
    peers,
    running,
    steering,
    training,
    upkeep,
    users,
)
from node.errors import ConfigurationInvalid, IsocenterError, NotFound, NotPossible, NotRunning, Refused

EXIT_CODES: tuple[tuple[type[Exception], int], ...] = (
    (ConfigurationInvalid, 2),
    (CardInvalid, 2),
    (PlanInvalid, 2),
    (CasesInvalid, 2),
    (Refused, 3),
    (ModelRefused, 3),
    (NotFound, 4),
    (ModelUnknown, 4),
    (NotRunning, 5),
    (NotPossible, 1),
    (ModelError, 1),
    (IsocenterError, 1),
)
"""Exit codes (design section 8); the first class that fits counts. 0 is success, 2 is also wrong usage."""

app = typer.Typer(
    name="isocenter",
    help="A DICOM node that puts AI results into the PACS.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)
for part in (running, lists, steering, peers, offline, choosing, making, training, upkeep, benches, arriving, users):
    part.add_to(app)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"isocenter {__version__}")
        raise typer.Exit


@app.callback()
def common(
    config: Annotated[
        Path | None, typer.Option(help="Configuration folder.", envvar="ISOCENTER_CONFIG", show_default="./config")
    ] = None,
    version: Annotated[  # noqa: ARG001  its callback prints it
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """A DICOM node that puts AI results into the PACS."""
    if config is not None:
        if not config.is_dir():
            raise ConfigurationInvalid(f"{config}: no such folder; --config names the one that holds node.toml")
        os.environ["ISOCENTER_CONFIG"] = str(config)


def main() -> None:
    """Run the command line; known errors are one line on standard error and an exit code. So is what the system says of
    a file or a folder that was named: that it is none, that it is full, that it may not be read."""
    try:
        app()
    except (IsocenterError, ModelError) as error:
        print(f"isocenter: {error}", file=sys.stderr)
        sys.exit(next(code for kind, code in EXIT_CODES if isinstance(error, kind)))
    except OSError as error:
        named = f"{error.filename}: " if error.filename else ""
        print(f"isocenter: {named}{error.strerror or error}", file=sys.stderr)
        sys.exit(1)
