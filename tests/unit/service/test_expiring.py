"""Certificates in use: what they say, and what is told before they end."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import structlog

from node.service.expiring import Expiring, endings
from node.settings import Configuration, NodeSettings, Peer, TlsTable
from node.state.certificates import certificates_in_use
from tests.makers.certificates import Authority, Signed


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority") / "ca")


@pytest.fixture(scope="module")
def ours(authority: Authority) -> Signed:
    return authority.sign("/O=Hospital/CN=isocenter", days=100)


def configured(authority: Authority, ours: Signed, *peers: Peer) -> Configuration:
    names = {"certificate": ours.certificate, "key": ours.key, "authorities": authority.certificate}
    tls = TlsTable(**{key: str(path) for key, path in names.items()})
    return Configuration(settings=NodeSettings(tls=tls), peers=peers)


def test_the_facts_are_those_that_openssl_wrote(authority: Authority, ours: Signed, tmp_path: Path) -> None:
    """Own, authorities (every one of the file), and those of a DICOMweb server; also a date past 2050."""
    two = tmp_path / "two.pem"
    far = authority.sign("/CN=far", days=20_000)
    two.write_text("a note before\n" + far.certificate.read_text() + authority.certificate.read_text())
    peer = Peer(name="web", ae_title="WEB", url="https://pacs.example/dicom-web", web_authorities=str(two))
    own, authorities, web = certificates_in_use(configured(authority, ours, peer))
    now = datetime.now(UTC)

    assert [own.setting, web.setting] == ["tls.certificate in node.toml", "web_authorities of peer web in peers.toml"]
    (one,) = own.certificates
    assert (one.subject, one.issuer) == ("CN=isocenter,O=Hospital", "CN=Test Authority")
    assert abs(one.not_after - now - timedelta(days=100)) < timedelta(minutes=5)
    assert one.not_after - one.not_before == timedelta(days=100)
    assert one.days_left(now) == 99
    assert web.certificates[1:] == authorities.certificates
    assert web.certificates[0].days_left(now) == 19_999


def test_nothing_is_in_use_where_nothing_is_set() -> None:
    assert certificates_in_use(Configuration()) == ()


def test_a_file_that_cannot_be_read_says_why(authority: Authority, ours: Signed, tmp_path: Path) -> None:
    (tmp_path / "no.pem").write_text("no certificate")
    for path in (tmp_path / "absent.pem", tmp_path / "no.pem"):
        found = list(endings(configured(authority, Signed(path, ours.key)), datetime.now(UTC)))
        assert [one.kind for one in found] == ["certificate-unusable"]
        assert str(path) in found[0].message
        assert found[0].message.endswith("correct tls.certificate in node.toml")


def test_each_mark_is_logged_once(authority: Authority, ours: Signed) -> None:
    """At 30, 14, 7 and 1 days, and when it has ended; a new certificate ends it."""
    start = datetime.now(UTC)
    clock = [start]
    expiring = Expiring(configured(authority, ours), lambda: clock[0])
    told: list[int] = []
    with structlog.testing.capture_logs() as logs:
        for day in range(105):
            clock[0] = start + timedelta(days=day)
            expiring.look()
            expiring.look()
            told += [99 - day] * (len(logs) - len(told))
    assert told == [29, 13, 6, 0, -1]
    assert [entry["event"] for entry in logs] == ["certificate-expires"] * 4 + ["certificate-expired"]
    assert "CN=isocenter,O=Hospital (tls.certificate in node.toml) ends in 29 days" in logs[0]["why"]
    assert "then peers refuse this node's certificate; put a new one into" in logs[0]["why"]

    clock[0] = start + timedelta(days=95)
    ours.certificate.write_text(authority.sign("/CN=isocenter", days=300).certificate.read_text())
    assert list(endings(configured(authority, ours), clock[0])) == []


def test_one_that_is_not_valid_yet_is_told(authority: Authority, ours: Signed) -> None:
    """Made for the next year, or by a machine whose clock is ahead: every peer refuses it, as one that has ended."""
    before = datetime.now(UTC) - timedelta(days=2)
    peer_refuses = next(
        one for one in endings(configured(authority, ours), before) if one.path == str(ours.certificate)
    )

    assert peer_refuses.kind == "certificate-not-yet-valid"
    assert "until then peers refuse this node's certificate; put one that is valid into" in peer_refuses.message
