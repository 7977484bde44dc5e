"""TLS as BCP 195 wants it, mutual, with certificates that may be replaced while the node runs."""

import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

import structlog

from node.errors import ConfigurationInvalid
from node.settings import TlsTable
from node.state.stamps import stamps_of

log = structlog.get_logger()

CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"
"""Of TLS 1.2; those of 1.3 are all recommended (RFC 9325 section 4.2)."""
LOOKED_AT_EVERY_S = 1.0
SHORT_NAMES = {
    "commonName": "CN",
    "organizationName": "O",
    "organizationalUnitName": "OU",
    "countryName": "C",
    "localityName": "L",
    "stateOrProvinceName": "ST",
}


class Tls:
    """The certificates of the node as they lie on disk now. `context` may be asked from any thread.

    Raises ConfigurationInvalid where they cannot be used at the start; where new ones cannot, the log says so and
    the old ones stay in use.
    """

    def __init__(self, table: TlsTable) -> None:
        self._table = table
        self._files = tuple(Path(one) for one in (table.certificate, table.key, table.authorities))
        self._lock = threading.Lock()
        self._stamps = stamps_of(self._files)
        self._context = self._load()
        self._looked_at = time.monotonic()

    def context(self) -> ssl.SSLContext:
        """For the next connection."""
        with self._lock:
            if time.monotonic() - self._looked_at >= LOOKED_AT_EVERY_S:
                self._looked_at = time.monotonic()
                self._look()
            return self._context

    def _look(self) -> None:
        stamps = stamps_of(self._files)
        if stamps != self._stamps:
            self._stamps = stamps
            try:
                self._context = self._load()
                log.info("certificates-reloaded", certificate=self._table.certificate)
            except ConfigurationInvalid as error:
                log.warning("certificates-unusable", why=f"{error}; the ones before stay in use")

    def _load(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.options |= ssl.OP_NO_RENEGOTIATION
        context.verify_mode = ssl.CERT_REQUIRED
        with naming_files(self._table):
            context.load_verify_locations(self._table.authorities)
            equip(context, self._table)
        return context


def equip(context: ssl.SSLContext, table: TlsTable) -> None:
    """Let it speak only what BCP 195 recommends, and show the node's certificate. Raises OSError."""
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(CIPHERS)
    context.load_cert_chain(table.certificate, table.key)


@contextmanager
def naming_files(table: TlsTable) -> Iterator[None]:
    """Raises ConfigurationInvalid, which says where to look, for what goes wrong with the files."""
    try:
        yield
    except OSError as error:  # ssl.SSLError is one
        names = f"{table.certificate}, {table.key}, {table.authorities}"
        raise ConfigurationInvalid(
            f"node.toml: tls: the certificates cannot be used ({error}): look at {names}"
        ) from error


def subject_of(connection: ssl.SSLSocket) -> tuple[str, ...]:
    """The attributes of the peer certificate's subject, as "CN=name"."""
    parts = (connection.getpeercert() or {}).get("subject", ())
    return tuple(
        f"{SHORT_NAMES.get(str(name), str(name))}={value}"
        for relative in parts
        for name, value in cast("tuple[tuple[str, str], ...]", relative)
    )
