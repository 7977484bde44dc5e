"""Commands about what comes in: import, peers accept."""

import secrets
from pathlib import Path
from typing import Annotated

import tomlkit
import typer
from rich.console import Console

from node.cli import here
from node.cli.peers import peers
from node.configuration import read_configuration
from node.errors import ConfigurationInvalid, NotFound


def add_to(app: typer.Typer) -> None:
    app.command(name="import")(import_path)


def import_path(
    path: Annotated[Path, typer.Argument(help="A folder with studies, or one file.")],
) -> None:
    """Take studies from files, as if a peer had sent them; a running node goes on with them at once.

    Files that cannot be taken are listed with the reason; the others are safe. Exit code 1: there were such files.

    Example: isocenter import /media/cdrom
    """
    from node.intake.door import Door
    from node.intake.importing import CALLING_AE, import_files
    from node.state.spool import Origin, Spool
    from node.state.wake import Wake

    if not path.exists():
        raise NotFound(f"{path}: no such file or folder")
    configuration = here.configuration()
    home = configuration.settings.state.home.absolute()
    spool, wake = Spool(home), Wake(home)
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
    file = here.config_folder() / "peers.toml"
    peer = tomlkit.table()
    peer["name"] = name or "".join(one if one.isalnum() else "-" for one in ae_title.lower()).strip("-")
    peer["ae_title"] = ae_title
    peer["roles"] = ["source"]
    if address:
        peer["addresses"] = [address]
    document = tomlkit.parse(file.read_text(encoding="utf-8") if file.exists() else "")
    known = document.get("peer", tomlkit.aot())
    if any(one.get("name") == peer["name"] for one in known):
        raise ConfigurationInvalid(f"{file}: peer {peer['name']!r} is there already; choose another with --name")
    known.append(peer)
    document["peer"] = known
    _write(file, tomlkit.dumps(document))
    print(f"{ae_title} is peer {peer['name']} now; {file.with_suffix('.toml.old')} is the file as it was before")


def _write(file: Path, text: str) -> None:
    """Replace a configuration file at once and keep the previous one; what would not be valid is not written."""
    before = file.read_text(encoding="utf-8") if file.exists() else ""
    aside = file.with_suffix(".toml.part")
    aside.write_text(text, encoding="utf-8")
    file.with_suffix(".toml.old").write_text(before, encoding="utf-8")
    aside.replace(file)
    try:
        read_configuration(file.parent)
    except ConfigurationInvalid:
        file.write_text(before, encoding="utf-8")
        raise
