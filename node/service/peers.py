"""Asks a peer of the configuration for a sign of life, and what it takes of ours."""

from collections.abc import Mapping
from dataclasses import dataclass

from pydicom.uid import UID

from node.errors import ConfigurationInvalid, IsocenterError, NotFound
from node.sending.destination import DEFLATED, Destination, EchoReport
from node.sending.dimse import DimseSender
from node.sending.proposal import ASKED, LABELMAP, SEGMENTATION, Proposal, propose
from node.sending.senders import echo
from node.service.destinations import destination_of
from node.settings import Configuration


@dataclass(frozen=True)
class ClassAsked:
    """What a peer answered of one SOP class. used_for: the rendition. syntaxes: names; none where it is not taken."""

    name: str
    used_for: str
    syntaxes: tuple[str, ...]


@dataclass(frozen=True)
class Probed:
    """What a peer takes. taken: by SOP class UID."""

    classes: tuple[ClassAsked, ...]
    taken: Mapping[str, bool]
    proposal: Proposal


def echo_peer(configuration: Configuration, name: str, *, timeout_s: float | None = None) -> EchoReport:
    """Ask by C-ECHO; a peer with a url by QIDO-RS. timeout_s: of every wait. Raises as `probe_peer` does."""
    return echo(reached(configuration, name, timeout_s=timeout_s))


def probe_peer(configuration: Configuration, name: str, *, timeout_s: float | None = None) -> Probed:
    """Ask by negotiation which of our objects it takes; nothing is sent.

    Raises NotFound; ConfigurationInvalid where it is no destination; IsocenterError where it cannot be asked.
    """
    to = reached(configuration, name, timeout_s=timeout_s)
    if to.web is not None:
        raise IsocenterError(f"{name} is reached by STOW-RS, which has no negotiation: ask it for an echo")
    report = DimseSender().probe(to, [one.uid for one in ASKED])
    if not report.ok:
        raise IsocenterError(report.text)
    accepted = dict(report.accepted)
    # Nothing else is ever sent deflated; one that takes it so alone is not one that "takes" it.
    deflated = dict(DimseSender().probe(to, [SEGMENTATION.uid, LABELMAP.uid], [DEFLATED]).accepted)
    classes = tuple(
        ClassAsked(one.name, one.use, tuple(UID(s).name for s in (*accepted[one.uid], *deflated.get(one.uid, ()))))
        for one in ASKED
    )
    taken = {uid: bool(syntaxes) for uid, syntaxes in accepted.items()}
    return Probed(classes, taken, propose(report, [uid for uid, syntaxes in deflated.items() if syntaxes]))


def reached(configuration: Configuration, name: str, *, timeout_s: float | None = None) -> Destination:
    """How a peer is reached. Raises NotFound; ConfigurationInvalid where it is no destination."""
    peer = configuration.peer(name)
    if peer is None:
        raise NotFound(f"no peer {name!r} is in peers.toml; `isocenter peers list` shows them")
    if "destination" not in peer.roles:
        raise ConfigurationInvalid(
            f"peer {name!r} is a source only: give it an address and a port, or a url, and the role destination"
        )
    return destination_of(peer, configuration.settings, timeout_s=timeout_s)
