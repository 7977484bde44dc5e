"""TLS to a peer: the certificate that this node shows, and whom it trusts, from the configuration on."""

from pathlib import Path

import pytest

from node.bench.servers import free_ports
from node.configuration import read_configuration
from node.errors import ConfigurationInvalid
from node.sending.senders import echo
from node.service.destinations import destination_of
from node.service.renewal import Watch
from node.service.routed import Judge
from node.state.certificates import files_in_use
from tests.integration.test_sending import program
from tests.makers.certificates import Authority, Signed

TLS = '[tls]\ncertificate = "{certificate}"\nkey = "{key}"\nauthorities = "{authorities}"\n'
PEER = '[[peer]]\nname = "pacs"\nae_title = "PACS"\naddress = "{address}"\nport = {port}\ntls = true\n'


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority") / "ca")


def configured(folder: Path, ours: Signed, trusted: Authority, port: int, address: str = "127.0.0.1") -> Path:
    folder.mkdir(exist_ok=True)
    names = {"certificate": ours.certificate, "key": ours.key, "authorities": trusted.certificate}
    (folder / "node.toml").write_text(TLS.format(**names))
    (folder / "peers.toml").write_text(PEER.format(address=address, port=port))
    return folder


def answer_to(folder: Path) -> tuple[bool, str]:
    configuration = read_configuration(folder)
    report = echo(destination_of(configuration.peers[0], configuration.settings, timeout_s=20))
    return report.ok, report.text


@pytest.mark.real("dcmtk")
def test_a_peer_that_wants_our_certificate_gets_it_and_must_be_who_it_says(
    authority: Authority, tmp_path: Path
) -> None:
    """Signed by an authority that is trusted, for the address at which it is called; anybody else is not talked to."""
    theirs, ours = authority.sign("/CN=pacs", names="IP:127.0.0.1"), authority.sign("/CN=isocenter")
    stranger = Authority(tmp_path / "other")
    (port,) = free_ports(1)
    options = ("+tls", str(theirs.key), str(theirs.certificate), "+cf", str(authority.certificate))
    with program("storescp", "-od", str(tmp_path), *options, str(port), port=port):
        met = answer_to(configured(tmp_path / "met", ours, authority, port))
        unknown_here, why = answer_to(configured(tmp_path / "unknown", ours, stranger, port))
        elsewhere, _ = answer_to(configured(tmp_path / "elsewhere", ours, authority, port, address="localhost"))
        unknown_there, _ = answer_to(configured(tmp_path / "there", stranger.sign("/CN=isocenter"), authority, port))

    assert met == (True, "pacs answered C-ECHO.")
    assert (unknown_here, elsewhere, unknown_there) == (False, False, False)
    assert "TLS with the pacs failed" in why or "TLS with pacs failed" in why


def test_tls_without_a_certificate_of_our_own_is_refused(tmp_path: Path) -> None:
    (tmp_path / "peers.toml").write_text(PEER.format(address="192.0.2.1", port=104))

    with pytest.raises(ConfigurationInvalid, match=r"fill in \[tls\] of node.toml"):
        read_configuration(tmp_path)


def test_a_new_certificate_is_noticed_like_a_new_configuration(authority: Authority, tmp_path: Path) -> None:
    ours = authority.sign("/CN=isocenter")
    folder = configured(tmp_path / "config", ours, authority, 104)
    watch = Watch(folder, ("peers.toml", ours.certificate))
    before = watch.changed()
    renewed = authority.sign("/CN=isocenter")
    renewed.certificate.replace(ours.certificate)

    assert before is None
    assert watch.changed() is not None


def test_a_key_that_comes_after_its_certificate_is_noticed(authority: Authority, tmp_path: Path) -> None:
    """Whoever copies the two files one after the other leaves a pair for a moment that does not belong together."""
    ours, renewed = authority.sign("/CN=isocenter"), authority.sign("/CN=isocenter")
    folder = configured(tmp_path / "config", ours, authority, 104)
    watch = Watch(folder, files_in_use(read_configuration(folder)), judge=Judge())
    renewed.certificate.replace(ours.certificate)
    between = watch.changed()
    renewed.key.replace(ours.key)

    assert between is None
    assert watch.changed() is not None
