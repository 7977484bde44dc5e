"""Asks a peer of the configuration for a sign of life, and what it takes of ours."""

from collections.abc import Mapping
from dataclasses import dataclass

from pydicom.uid import UID

from node.core.identity import Differing, differing
from node.errors import ConfigurationInvalid, IsocenterError, NotFound, NotPossible
from node.sending.destination import DEFLATED, Destination, EchoReport
from node.sending.dimse import DimseSender
from node.sending.patient import registered, stated_in
from node.sending.proposal import ASKED, LABELMAP, SEGMENTATION, Proposal, propose
from node.sending.senders import echo
from node.service.destinations import destination_of
from node.settings import Configuration
from node.state import arrivals, outbox, work
from node.state.ledger import Ledger


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


def registered_there(
    configuration: Configuration, ledger: Ledger, delivery_id: str, *, timeout_s: float | None = None
) -> Differing:
    """Ask a delivery's destination whose study it is. timeout_s: of every wait.

    Raises NotFound where it does not know the study; NotPossible where it does not say one thing that differs from what
    the results say; IsocenterError where it cannot be asked.
    """
    home = configuration.settings.state.home.absolute()
    with ledger.read() as connection:
        delivery = outbox.get_delivery(connection, delivery_id)
        job = work.get_job(connection, delivery.job_id)
        study = arrivals.get_study(connection, job.study_id)
        results = outbox.results_of(connection, delivery.job_id, delivery.run)
    name = delivery.destination
    if delivery.run != job.run or not results:
        raise NotPossible(f"delivery {delivery.id} does not hold the results of its job's present run")
    found = set(registered(reached(configuration, name, timeout_s=timeout_s), study.study_uid))
    if not found:
        raise NotFound(f"{name} does not know the study of delivery {delivery.id}")
    if len(found) > 1:
        raise NotPossible(
            f"{name} has this study under {len(found)} patients or orders: let them be merged there first"
        )
    (theirs,) = found
    ours = stated_in(home / results[0].path)
    if not differing(ours, theirs):
        raise NotPossible(f"{name} has the same patient and order for this study: `isocenter resend {delivery.id}`")
    return Differing(name, ours, theirs)


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
