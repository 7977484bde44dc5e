"""Commands about peers: list, add and remove them, ask whether one answers and what it takes, send files to one."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress

from node.cli import here
from node.errors import ConfigurationInvalid, NotRunning

peers = typer.Typer(help="Peers: who may send, and where results go.", no_args_is_help=True)
Name = Annotated[str, typer.Argument(help="A peer's name in peers.toml.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


def add_to(app: typer.Typer) -> None:
    app.add_typer(peers, name="peers")
    app.command()(send)


@peers.command("list")
def list_peers(as_json: AsJson = False) -> None:
    """Peers of the configuration.

    Example: isocenter peers list
    """
    rows = [
        {
            "name": one.name,
            "ae_title": one.ae_title,
            "address": one.address,
            "port": one.port,
            "url": one.url,
            "kind": one.kind,
            "roles": ", ".join(one.roles),
            "renditions": ", ".join(one.renditions) if "destination" in one.roles else "",
        }
        for one in here.configuration().peers
    ]
    here.show(rows, as_json=as_json, empty="peers.toml names no peer")


@peers.command()
def add(
    name: Annotated[str, typer.Argument(help="How routes and lists will call it.")],
    ae_title: Annotated[str, typer.Argument(help="As it calls itself.")],
    address: Annotated[str, typer.Option(help="Its DICOM host, where results go.")] = "",
    port: Annotated[int, typer.Option(help="Its DICOM port.")] = 0,
    url: Annotated[str, typer.Option(help="Where it takes results by DICOMweb instead.")] = "",
    kind: Annotated[str, typer.Option(help="pacs, scanner or workstation.")] = "pacs",
    role: Annotated[list[str] | None, typer.Option(help="source or destination; without it, both.")] = None,
) -> None:
    """Write a peer into peers.toml; a running node takes it up within seconds.

    Example: isocenter peers add pacs PACS --address 192.0.2.10 --port 104

    Example: isocenter peers add ct CT1 --kind scanner --role source
    """
    from node.editing import Editor, Kind

    folder = here.config_folder()
    values = {
        "name": name,
        "ae_title": ae_title,
        "address": address or None,
        "port": port or None,
        "url": url or None,
        "kind": kind,
        "roles": role,
    }
    Editor(folder).add(Kind.PEER, values)
    print(f"{ae_title} is peer {name} now; {folder / 'peers.toml.old'} is the file as it was before")


@peers.command()
def remove(name: Name) -> None:
    """Take a peer out of peers.toml; a running node knows it no more within seconds.

    Example: isocenter peers remove ct
    """
    from node.editing import Editor, Kind

    folder = here.config_folder()
    Editor(folder).remove(Kind.PEER, name)
    print(f"{name} is no peer any more; {folder / 'peers.toml.old'} is the file as it was before")


@peers.command()
def echo(name: Name) -> None:
    """Ask a peer for a C-ECHO; one with a url by QIDO-RS.

    Example: isocenter peers echo pacs
    """
    from node.service.peers import echo_peer

    report = echo_peer(here.configuration(), name)
    print(report.text)
    raise typer.Exit(0 if report.ok else 1)


@peers.command()
def probe(name: Name) -> None:
    """Ask a peer which of our objects it takes, and propose the lines for its table in peers.toml.

    Nothing is sent: the answers are those to an association request.

    Example: isocenter peers probe pacs
    """
    from node.service.peers import probe_peer

    found = probe_peer(here.configuration(), name)
    _remember(name, found.taken)
    rows = [
        {
            "object": one.name,
            "taken": "yes" if one.syntaxes else "no",
            "used for": one.used_for,
            "syntaxes": ", ".join(one.syntaxes),
        }
        for one in found.classes
    ]
    here.show(rows, as_json=False, empty="")
    print(f"\nFor {name} in peers.toml:\n")
    print("\n".join(found.proposal.lines))
    for note in found.proposal.notes:
        print(f"\n{note}")


def send(
    peer: Name,
    paths: Annotated[list[Path], typer.Argument(metavar="PATH...", help="Files, or folders with files in them.")],
) -> None:
    """Send DICOM files to a peer as they are: by C-STORE, or by STOW-RS where it has a url.

    What is not taken is listed with what the peer said, and what to change. Exit code 1: there was such an instance.

    Example: isocenter send pacs ~/studies/chest

    Example: isocenter send workstation results/seg.dcm results/sr.dcm
    """
    from node.service.handing import find_instances, hand_over
    from node.service.peers import reached

    destination, found = reached(here.configuration(), peer), find_instances(paths)
    with Progress(console=Console(stderr=True), transient=True) as progress:
        handed = list(
            progress.track(hand_over(destination, found.parcels), len(found.parcels), description=f"sending to {peer}")
        )
    for path, why in found.others:
        print(f"{path}: not sent: {why}")
    for one in handed:
        if one.is_to_be_told:
            print(f"{one.path}: {one.outcome.text}" + (f" ({one.outcome.comment})" if one.outcome.comment else ""))
    sent = sum(one.is_accepted for one in handed)
    print(f"{sent} instances sent to {peer}, {len(handed) - sent} not; {len(found.others)} other files")
    raise typer.Exit(0 if sent == len(handed) else 1)


def _remember(name: str, classes: Mapping[str, bool]) -> None:
    """What was answered decides from now on; a home without a ledger has nowhere to keep it."""
    from node.state.taken import record_taken

    try:
        with here.ledger() as ledger, ledger.write() as connection:
            record_taken(connection, name, classes, here.now())
    except (NotRunning, ConfigurationInvalid):
        return
