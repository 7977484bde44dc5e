"""Commands about peers: list them, ask whether one answers, and what it takes."""

from typing import TYPE_CHECKING, Annotated

import typer

from node.cli import here
from node.errors import ConfigurationInvalid, IsocenterError, NotFound, NotRunning

if TYPE_CHECKING:
    from node.sending.destination import Destination

peers = typer.Typer(help="Peers: who may send, and where results go.", no_args_is_help=True)
Name = Annotated[str, typer.Argument(help="A peer's name in peers.toml.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


def add_to(app: typer.Typer) -> None:
    app.add_typer(peers, name="peers")


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
def echo(name: Name) -> None:
    """Ask a peer for a C-ECHO; one with a url by QIDO-RS.

    Example: isocenter peers echo pacs
    """
    from node.sending.senders import echo as ask

    report = ask(_destination(name))
    print(report.text)
    raise typer.Exit(0 if report.ok else 1)


@peers.command()
def probe(name: Name) -> None:
    """Ask a peer which of our objects it takes, and propose the lines for its table in peers.toml.

    Nothing is sent: the answers are those to an association request.

    Example: isocenter peers probe pacs
    """
    from pydicom.uid import UID

    from node.sending.dimse import DimseSender
    from node.sending.proposal import ASKED, propose

    to = _destination(name)
    if to.web is not None:
        raise IsocenterError(f"{name} is reached by STOW-RS, which has no negotiation: `isocenter peers echo {name}`")
    report = DimseSender().probe(to, [one.uid for one in ASKED])
    if not report.ok:
        raise IsocenterError(report.text)
    accepted = dict(report.accepted)
    _remember(name, {uid: bool(syntaxes) for uid, syntaxes in report.accepted})
    rows = [
        {
            "object": one.name,
            "taken": "yes" if accepted[one.uid] else "no",
            "used for": one.use,
            "syntaxes": ", ".join(UID(syntax).name for syntax in accepted[one.uid]),
        }
        for one in ASKED
    ]
    here.show(rows, as_json=False, empty="")
    proposal = propose(report)
    print(f"\nFor {name} in peers.toml:\n")
    print("\n".join(proposal.lines))
    for note in proposal.notes:
        print(f"\n{note}")


def _remember(name: str, classes: dict[str, bool]) -> None:
    """What was answered decides from now on; a home in which no node has run yet has nowhere to keep it."""
    from node.state.taken import record_taken

    try:
        with here.ledger() as ledger, ledger.write() as connection:
            record_taken(connection, name, classes, here.now())
    except NotRunning:
        return


def _destination(name: str) -> "Destination":
    from node.service.destinations import destination_of

    configuration = here.configuration()
    peer = configuration.peer(name)
    if peer is None:
        raise NotFound(f"no peer {name!r} is in peers.toml; `isocenter peers list` shows them")
    if "destination" not in peer.roles:
        raise ConfigurationInvalid(
            f"peer {name!r} is a source only: give it an address and a port, or a url, and the role destination"
        )
    return destination_of(peer, configuration.settings.node.ae_titles[0])
