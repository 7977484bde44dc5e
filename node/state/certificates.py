"""The certificates that a configuration names, as they lie on disk now: whose they are, and when they end."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography import x509

from node.core.expiry import days_left
from node.settings import Configuration


@dataclass(frozen=True)
class Certificate:
    """What an operator asks of one. subject, issuer: as RFC 4514 writes them. not_before, not_after: in UTC."""

    subject: str
    issuer: str
    not_before: datetime
    not_after: datetime

    def days_left(self, now: datetime) -> int:
        """Whole days until it ends; negative once it has."""
        return days_left(self.not_after, now)


@dataclass(frozen=True)
class CertificateFile:
    """A PEM file of the configuration. setting: which, and in which file. what_ends: when a certificate of it does.

    fault: why it cannot be read; empty where it could.
    """

    setting: str
    what_ends: str
    path: str
    certificates: tuple[Certificate, ...]
    fault: str


def certificates_in_use(configuration: Configuration) -> tuple[CertificateFile, ...]:
    """Every file of certificates that the node shows or trusts, in the order of the configuration, read anew."""
    return tuple(_read(*named) for named in _named(configuration))


def files_in_use(configuration: Configuration) -> tuple[Path, ...]:
    """What is worked by until one of them is replaced: those files, and the key, which may come after its
    certificate."""
    tls = configuration.settings.tls
    names = [*(path for _, _, path in _named(configuration)), *([tls.key] if tls.is_set else [])]
    return tuple(Path(one).absolute() for one in names)


def _named(configuration: Configuration) -> Iterator[tuple[str, str, str]]:
    tls = configuration.settings.tls
    if tls.is_set:
        yield "tls.certificate in node.toml", "peers refuse this node's certificate", tls.certificate
        yield "tls.authorities in node.toml", "this node refuses the peers it signed for", tls.authorities
    for peer in configuration.peers:
        if peer.web_authorities:
            setting = f"web_authorities of peer {peer.name} in peers.toml"
            yield setting, f"nothing can be sent to {peer.name}", peer.web_authorities


def _read(setting: str, what_ends: str, path: str) -> CertificateFile:
    try:
        found = x509.load_pem_x509_certificates(Path(path).read_bytes())
        return CertificateFile(setting, what_ends, path, tuple(map(_facts, found)), "")
    except (OSError, ValueError) as error:
        return CertificateFile(setting, what_ends, path, (), f"{path} cannot be read as certificates: {error}")


def _facts(one: x509.Certificate) -> Certificate:
    return Certificate(
        one.subject.rfc4514_string(), one.issuer.rfc4514_string(), one.not_valid_before_utc, one.not_valid_after_utc
    )
