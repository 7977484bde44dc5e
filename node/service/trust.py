"""Whom this node trusts when it calls a peer over TLS, and the certificate that it shows there."""

import ssl

from node.errors import ConfigurationInvalid
from node.intake.tls import equip, naming_files
from node.settings import Peer, TlsTable


def of_associations(peer: Peer, ours: TlsTable) -> ssl.SSLContext | None:
    """For associations to a peer with `tls`, as BCP 195 (RFC 9325) asks; None where they are not encrypted.

    Its certificate must be signed by one of tls.authorities and name its address; the node shows its own.
    Raises ConfigurationInvalid where the files cannot be used.
    """
    if not peer.tls:
        return None
    with naming_files(ours):
        context = ssl.create_default_context(cafile=ours.authorities)
        equip(context, ours)
    return context


def of_services(peer: Peer) -> ssl.SSLContext | None:
    """For a peer's DICOMweb services; None where its url is not https. Raises ConfigurationInvalid."""
    if not peer.url.startswith("https"):
        return None
    try:
        return ssl.create_default_context(cafile=peer.web_authorities or None)
    except OSError as error:
        raise ConfigurationInvalid(
            f"peers.toml: peer {peer.name!r}: web_authorities {peer.web_authorities} cannot be used: {error}"
        ) from error
