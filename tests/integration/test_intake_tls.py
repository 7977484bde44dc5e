"""TLS at the door: who may speak it, with which certificate, and what happens when certificates change."""

import socket
import ssl
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from node.errors import ConfigurationInvalid
from node.intake import tls
from node.intake.tls import Tls
from node.settings import TlsTable
from node.state.associations import AssociationOutcome
from tests.makers.certificates import Authority, Signed
from tests.makers.elements import ct
from tests.makers.part10 import part10
from tests.makers.receiver import Door, opened, process_settings, run

__all__ = ["process_settings"]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority") / "ca")


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Signed:
    """A certificate of an authority that the node does not know."""
    return Authority(tmp_path_factory.mktemp("other") / "ca").sign("/CN=ct1")


def configuration(authority: Authority, ours: Signed, **changes: object) -> dict:
    table = {"certificate": str(ours.certificate), "key": str(ours.key), "authorities": str(authority.certificate)}
    peers = [
        {"name": "ct1", "ae_title": "SENDER", "roles": ["source"], "certificate": ["CN=ct1", "O=Hospital"]},
        {"name": "plain", "ae_title": "PLAIN", "roles": ["source"]},
    ]
    intake = {"disk_reserve_mb": 1, "refuse_associations_mb": 1}
    return {"settings": {"intake": intake, "tls": {**table, **changes}}, "peers": peers}


@pytest.fixture
def ours(authority: Authority) -> Signed:
    return authority.sign("/CN=isocenter")


@pytest.fixture
def door(tmp_path: Path, authority: Authority, ours: Signed) -> Iterator[Door]:
    with opened(tmp_path / "home", configuration=configuration(authority, ours)) as one:
        yield one


def options(signed: Signed, authority: Authority) -> tuple[str | Path, ...]:
    return ("+tls", signed.key, signed.certificate, "+cf", authority.certificate)


def _as_openssl(signed: Signed) -> tuple[str | Path, ...]:
    return ("-cert", signed.certificate, "-key", signed.key)


def echo(door: Door, *more: str | Path, calling: str = "SENDER") -> str:
    """What DCMTK's echoscu says; empty for success."""
    done = run("echoscu", "-to", "5", *more, "-aet", calling, "-aec", "ISOCENTER", "127.0.0.1", str(door.port))
    return done.stdout + done.stderr if done.returncode else ""


@pytest.mark.real("dcmtk")
def test_a_peer_with_its_certificate_stores(door: Door, authority: Authority, tmp_path: Path) -> None:
    """Mutual TLS by DCMTK, on the port on which others speak plainly."""
    file = part10(tmp_path / "one.dcm", ct(pixels=bytes(300_000)))
    signed = authority.sign("/O=Hospital/CN=ct1")
    target = ("-aet", "SENDER", "-aec", "ISOCENTER", "127.0.0.1", str(door.port), file)
    done = run("storescu", *options(signed, authority), *target)

    assert done.returncode == 0, done.stderr
    assert door.data_sets() == [ct(pixels=bytes(300_000))]
    assert echo(door, calling="PLAIN") == ""


@pytest.mark.real("dcmtk")
def test_a_peer_is_who_its_certificate_says(door: Door, authority: Authority) -> None:
    """Another subject, or none at all: (1,1,3), and the journal names the side to change."""
    other = authority.sign("/O=Hospital/CN=ct2")

    for more in (options(other, authority), ()):
        assert "Calling AE Title Not Recognized" in echo(door, *more)
    assert "`certificate` of the peer" in door.records()[0].why


@pytest.mark.real("dcmtk")
def test_certificates_that_are_not_trusted_end_the_handshake(
    door: Door, authority: Authority, stranger: Signed
) -> None:
    """Of another authority, expired, or missing: no association; the list says what to change."""
    expired = authority.sign("/O=Hospital/CN=ct1", days=-1)
    for more in (options(stranger, authority), options(expired, authority), ("+tla", "-ic")):
        assert echo(door, *more)
    told = door.records()  # once a minute from one address for each reason
    reasons = ("CERTIFICATE_VERIFY_FAILED", "PEER_DID_NOT_RETURN_A_CERTIFICATE")
    assert {why for why in reasons for one in told if why in one.why} == {*reasons}
    assert len(told) == 2
    for one in told:
        assert (one.outcome, one.address, one.calling_ae) == (AssociationOutcome.ABORTED, "127.0.0.1", "")
        assert "the TLS handshake failed" in one.why
        assert "tls.authorities in node.toml" in one.why
    assert echo(door, calling="PLAIN") == ""


def test_old_versions_of_tls_are_refused(door: Door, authority: Authority) -> None:
    """TLS 1.1 (RFC 8996); 1.2 and 1.3 are spoken."""
    signed = authority.sign("/O=Hospital/CN=ct1")
    for version, fine in (
        (ssl.TLSVersion.TLSv1_1, False),
        (ssl.TLSVersion.TLSv1_2, True),
        (ssl.TLSVersion.TLSv1_3, True),
    ):
        context = ssl.create_default_context(cafile=authority.certificate)
        context.check_hostname = False
        context.load_cert_chain(signed.certificate, signed.key)
        context.set_ciphers("DEFAULT:@SECLEVEL=0")
        context.minimum_version, context.maximum_version = ssl.TLSVersion.TLSv1_1, version
        with socket.create_connection(("127.0.0.1", door.port), timeout=10) as plain:
            if fine:
                with context.wrap_socket(plain) as secured:
                    assert secured.version() in ("TLSv1.2", "TLSv1.3")
            else:
                with pytest.raises((ssl.SSLError, ConnectionError)):
                    context.wrap_socket(plain)


@pytest.mark.parametrize(
    ("ciphers", "fine"),
    [
        ("ECDHE-ECDSA-AES128-GCM-SHA256", True),
        ("ECDHE-ECDSA-CHACHA20-POLY1305", True),
        ("ECDHE-ECDSA-AES128-SHA256", False),
        ("ECDHE-ECDSA-AES256-SHA", False),
        ("ECDHE-ECDSA-AES128-CCM8", False),
    ],
)
def test_ciphers_are_those_of_bcp_195(door: Door, authority: Authority, ciphers: str, fine: bool) -> None:
    """With forward secrecy and authenticated encryption (RFC 9325 section 4.2); CBC and short tags are refused."""
    signed = authority.sign("/O=Hospital/CN=ct1")
    context = ssl.create_default_context(cafile=authority.certificate)
    context.check_hostname = False
    context.load_cert_chain(signed.certificate, signed.key)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(f"{ciphers}:@SECLEVEL=0")
    with socket.create_connection(("127.0.0.1", door.port), timeout=10) as plain:
        if fine:
            with context.wrap_socket(plain) as secured:
                assert (secured.cipher() or ("",))[0] == ciphers
        else:
            with pytest.raises((ssl.SSLError, ConnectionError)):
                context.wrap_socket(plain)


@pytest.mark.real("dcmtk")
def test_plain_associations_can_be_refused(tmp_path: Path, authority: Authority, ours: Signed) -> None:
    """tls.required."""
    with opened(tmp_path, configuration=configuration(authority, ours, required=True)) as door:
        assert "Calling AE Title Not Recognized" in echo(door, calling="PLAIN")
        assert "without TLS" in door.ended().why


@pytest.mark.real("dcmtk")
def test_fifty_silent_peers_keep_nobody_waiting(door: Door, authority: Authority) -> None:
    """They connect, or open a handshake and stop; an honest sender is served in under a second meanwhile."""
    signed = authority.sign("/O=Hospital/CN=ct1")
    silent = [socket.create_connection(("127.0.0.1", door.port), timeout=20) for _ in range(50)]
    try:
        for one in silent[::2]:
            one.sendall(b"\x16\x03\x01\x02\x00\x01")
        began = time.monotonic()
        assert echo(door, *options(signed, authority)) == ""
        assert time.monotonic() - began < 1
        assert [one.recv(100)[:1] for one in silent] == [b""] * 50
    finally:
        for one in silent:
            one.close()


@pytest.mark.real("dcmtk")
def test_certificates_are_taken_up_without_a_restart(
    door: Door, authority: Authority, ours: Signed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A new one counts from the next connection on; one that cannot be used does not."""
    monkeypatch.setattr(tls, "LOOKED_AT_EVERY_S", 0.0)
    signed = authority.sign("/O=Hospital/CN=ct1")
    new = authority.sign("/CN=renewed")
    ours.key.write_text(new.key.read_text())
    ours.certificate.write_text(new.certificate.read_text())
    said = run("openssl", "s_client", "-connect", f"127.0.0.1:{door.port}", *_as_openssl(signed)).stdout
    assert "CN = renewed" in said or "CN=renewed" in said
    with structlog.testing.capture_logs() as logs:
        ours.certificate.write_text("no certificate")
        assert echo(door, *options(signed, authority)) == ""
    assert "certificates-unusable" in [entry["event"] for entry in logs]


@pytest.mark.real("dcmtk")
def test_an_authority_is_taken_up_without_a_restart(
    door: Door, authority: Authority, stranger: Signed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who was refused is taken once their authority was added to the file; open associations go on."""
    monkeypatch.setattr(tls, "LOOKED_AT_EVERY_S", 0.0)
    before = authority.certificate.read_text()
    newcomer = Authority(tmp_path / "new", "New Authority")
    signed = newcomer.sign("/O=Hospital/CN=ct1")
    assert echo(door, *options(signed, authority))
    try:
        authority.certificate.write_text(before + newcomer.certificate.read_text())
        assert echo(door, *options(signed, authority)) == ""
        assert echo(door, *options(stranger, authority))
    finally:
        authority.certificate.write_text(before)
    assert echo(door, *options(signed, authority))


def test_certificates_that_are_not_there_stop_the_start(tmp_path: Path, authority: Authority) -> None:
    """With words, not at the first connection."""
    table = TlsTable(certificate=str(tmp_path / "no"), key=str(tmp_path / "no"), authorities=str(authority.certificate))

    with pytest.raises(ConfigurationInvalid, match="certificates cannot be used"):
        Tls(table)
