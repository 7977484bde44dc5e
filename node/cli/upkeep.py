"""Commands that keep a node sound: check, backup, restore."""

from pathlib import Path
from typing import Annotated

import typer

from node.cli import here
from node.errors import AlreadyRunning, ConfigurationInvalid


def add_to(app: typer.Typer) -> None:
    for command in (check, backup, restore):
        app.command()(command)


def check(as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False) -> None:
    """Look for everything that may keep the node from its work; one line for each fault says what to do.

    Exit code 1: something was found.

    Example: isocenter check
    """
    from node.service.check import find_faults

    found = list(find_faults(here.config_folder()))
    if as_json:
        here.show([vars(one) for one in found], as_json=True, empty="")
    else:
        print("\n".join(f"{one.kind}: {one.message}" for one in found) or "no fault was found")
    raise typer.Exit(1 if found else 0)


def backup(
    folder: Annotated[Path, typer.Argument(help="Where to; an earlier backup there is brought up to date.")],
) -> None:
    """Copy ledger, images, results and configuration, while the node runs or not.

    Example: isocenter backup /mnt/backup/isocenter
    """
    from node.state.backup import back_up

    state = here.configuration().settings.state
    if state.database_url:
        raise ConfigurationInvalid(
            "the ledger is in PostgreSQL: back it up with pg_dump, and the home with a copy made after that"
        )
    done = back_up(state.home.absolute(), here.config_folder(), folder, here.now())
    print(f"backup in {folder}: {done.copied} files copied, {done.kept} were there already")


def restore(folder: Annotated[Path, typer.Argument(help="A folder that `isocenter backup` made.")]) -> None:
    """Put a backup into this home, which must be empty, and let ledger and images agree again.

    The configuration is not touched; the backup's lies in its folder `config`.

    Example: isocenter restore /mnt/backup/isocenter
    """
    from node.service.locks import claimed
    from node.state.backup import restore as put_back

    state = here.configuration().settings.state
    home = state.home.absolute()
    if state.database_url:
        raise ConfigurationInvalid("the ledger is in PostgreSQL: restore it with pg_restore, and copy the home back")
    if home.exists() and claimed(home):
        raise AlreadyRunning(f"a node is running in {home}: stop it first")
    done = put_back(folder, home, here.now())
    print(f"restored into {home}: {done.files} files")
    if done.missing:
        print(f"{done.missing} images are not in the backup: their studies are held; `isocenter studies` lists them")
