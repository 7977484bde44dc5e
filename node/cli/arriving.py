"""Commands about what comes in: import, peers accept."""

import secrets
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from node.cli import here
from node.cli.peers import peers
from node.errors import NotFound


def add_to(app: typer.Typer) -> None:
    app.command(name="import")(import_path)


def import_path(
    path: Annotated[Path, typer.Argument(help="A folder with studies, or one file.")],
) -> None:
    """Take studies from files, as if a peer had sent them; a running node goes on with them at once.

    They come from the AE title IMPORT: a route with `from` takes them where it names a peer with this title.
    Files that cannot be taken are listed with the reason; the others are safe. Exit code 1: there were such files; 4:
    there was no file at all.

    Example: isocenter import /media/cdrom
    """
    from node.intake.door import Door
    from node.intake.importing import CALLING_AE, import_files
    from node.state.disk import disk_faults
    from node.state.spool import Origin, Spool
    from node.state.wake import ARRIVED, Wake

    if not path.exists():
        raise NotFound(f"{path}: no such file or folder")
    configuration = here.configuration()
    home = configuration.settings.state.home.absolute()
    with disk_faults():
        spool, wake = Spool(home), Wake(home / ARRIVED)
        spool.open()
    origin = Origin(
        calling_ae=CALLING_AE,
        called_ae=configuration.settings.node.ae_titles[0],
        address="",
        association_id=f"i{secrets.token_hex(5)}",
        peer="",
        received_at=here.now(),
    )
    taken, refused = 0, 0
    with Console(stderr=True).status("importing"):
        for one in import_files(Door(spool, configuration.settings.intake, wake.ring), path, origin):
            if one.why:
                refused += 1
                print(f"{one.path}: {one.answer.status:04X}: {one.why}")
            else:
                taken += 1
    wake.close()
    if not taken + refused:
        raise NotFound(f"{path} holds no file: name the folder in which the studies lie")
    print(f"{taken} instances taken, {refused} files not")
    raise typer.Exit(1 if refused else 0)


@peers.command()
def accept(
    ae_title: Annotated[str, typer.Argument(help="AE title of a caller, as `isocenter associations` shows it.")],
    name: Annotated[str, typer.Option(help="How routes and lists will call it.", show_default="its AE title")] = "",
    address: Annotated[str, typer.Option(help="It may call from there only: an address or network.")] = "",
) -> None:
    """Write a caller that was rejected into peers.toml as a source; it may send from its next association on.

    Example: isocenter peers accept CT1 --address 192.0.2.10
    """
    from node.editing import Editor, Kind, caller_accepted

    folder = here.config_folder()
    peer = caller_accepted(ae_title, address, name)
    Editor(folder).add(Kind.PEER, peer)
    print(f"{ae_title} is peer {peer['name']} now; {folder / 'peers.toml.old'} is the file as it was before")
