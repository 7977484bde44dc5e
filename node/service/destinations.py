"""Who results are sent to, who may be asked, and how each is reached: from the peers of the configuration."""

from dataclasses import replace

from node.jobs.renditions import forms_for
from node.sending.destination import DEFLATED, EXPLICIT, IMPLICIT, Destination, Terms, WebAddress
from node.service import trust
from node.settings import Configuration, NodeSettings, Peer, Syntax

SOURCE_TIMEOUT_S = 10.0
SYNTAXES: dict[Syntax, str] = {"explicit": EXPLICIT, "implicit": IMPLICIT, "deflated": DEFLATED}


def destination_of(peer: Peer, ours: NodeSettings, *, timeout_s: float | None = None) -> Destination:
    """How a peer is reached. timeout_s: of every wait, else the usual ones. Raises ConfigurationInvalid where
    certificates cannot be read."""
    tls, title = trust.of_associations(peer, ours.tls), ours.node.ae_titles[0]
    syntaxes = tuple(SYNTAXES[one] for one in peer.syntaxes)
    web = _web_address(peer)
    found = Destination(peer.name, peer.ae_title, peer.address, peer.port, title, tls, syntaxes=syntaxes, web=web)
    if timeout_s is None:
        return found
    return replace(
        found,
        connect_timeout_s=timeout_s,
        association_timeout_s=timeout_s,
        response_timeout_s=timeout_s,
        stall_timeout_s=timeout_s,
    )


def destinations_of(configuration: Configuration) -> dict[str, Terms]:
    """Peers that results can be sent to, and on what terms. Raises as `destination_of` does."""
    ours = configuration.settings
    return {
        peer.name: Terms(
            destination_of(peer, ours),
            forms_for(peer),
            is_proof_due=peer.proof != "none",
            is_commitment_asked=peer.proof == "commitment",
            is_patient_checked=peer.query,
            is_told_of_replaced=peer.rejections,
        )
        for peer in configuration.peers
        if "destination" in peer.roles
    }


def choosing_of(configuration: Configuration) -> dict[str, Destination]:
    """Destinations the form of whose results depends on what they take."""
    ours = configuration.settings
    return {
        peer.name: destination_of(peer, ours, timeout_s=SOURCE_TIMEOUT_S)
        for peer in configuration.peers
        if peer.segmentation == "auto" and "destination" in peer.roles
    }


def sources_of(configuration: Configuration) -> dict[str, Destination]:
    """Peers that may be asked by C-FIND what they hold of a study that comes from them."""
    ours = configuration.settings
    return {
        peer.name: replace(destination_of(peer, ours, timeout_s=SOURCE_TIMEOUT_S), web=None)
        for peer in configuration.peers
        if peer.query and "source" in peer.roles and peer.address and peer.port
    }


def askers_of(configuration: Configuration) -> dict[str, Destination]:
    """Peers that may ask for storage commitment: they are told at their address."""
    ours = configuration.settings
    return {peer.name: replace(destination_of(peer, ours), web=None) for peer in configuration.peers if peer.commitment}


def archives_of(configuration: Configuration) -> dict[str, Destination]:
    """Peers that must hold what is pledged to others."""
    ours = configuration.settings
    names = {peer.archive for peer in configuration.peers if peer.commitment}
    return {peer.name: destination_of(peer, ours) for peer in configuration.peers if peer.name in names}


def _web_address(peer: Peer) -> WebAddress | None:
    if not peer.url:
        return None
    tls = trust.of_services(peer)
    return WebAddress(peer.url.rstrip("/"), tls, peer.web_user, peer.web_secret_file, peer.web_secret_env)
