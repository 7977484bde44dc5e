"""Commands that keep a node sound: check, backup, restore."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from node.cli import here
from node.errors import AlreadyRunning, ConfigurationInvalid

if TYPE_CHECKING:
    from node.settings import StateTable


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

    A ledger in PostgreSQL is copied by pg_dump, which must be installed.

    Example: isocenter backup /mnt/backup/isocenter
    """
    from node.state.backup import back_up

    state = here.configuration().settings.state
    done = back_up(state.home.absolute(), here.config_folder(), folder, here.now(), _postgres_url(state))
    print(f"backup in {folder}: {done.copied} files copied, {done.kept} were there already")
    for one in done.unread:
        print(f"not in it, as this user may not read it: {one}")


def restore(folder: Annotated[Path, typer.Argument(help="A folder that `isocenter backup` made.")]) -> None:
    """Put a backup into this home, which must be empty, and let ledger and images agree again.

    A ledger in PostgreSQL goes into the empty database that state.database_url names. The configuration is not
    touched; the backup's lies in its folder `config`.

    Example: isocenter restore /mnt/backup/isocenter
    """
    from node.service.locks import claimed
    from node.state.backup import restore as put_back

    state = here.configuration().settings.state
    home = state.home.absolute()
    if home.exists() and claimed(home):
        raise AlreadyRunning(f"a node is running in {home}: stop it first")
    done = put_back(folder, home, here.now(), _postgres_url(state))
    print(f"restored into {home}: {done.files} files")
    if done.missing:
        print(f"{done.missing} images are not in the backup: their studies are held; `isocenter studies` lists them")


def _postgres_url(state: "StateTable") -> str:
    """Where the ledger is, empty where it is the file of the home."""
    if state.database_url and not state.database_url.startswith("postgresql"):
        raise ConfigurationInvalid(
            "state.database_url names no PostgreSQL: leave it empty, so that the ledger lies in the home"
        )
    return state.database_url
