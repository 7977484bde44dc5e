"""Who may open an association."""

from dataclasses import replace
from ipaddress import ip_network

import pytest

from node.core.admission import Accepted, AdmissionRules, Caller, KnownPeer, Rejected, admit, may_call_from

CT1 = KnownPeer("ct1", "CT1", networks=(ip_network("10.1.0.0/16"), ip_network("fd00::/8")))
PACS = KnownPeer("pacs", "PACS", address="10.9.9.9")
RULES = AdmissionRules(("ISOCENTER", "SECOND"), (CT1, PACS), refuse_below_mb=100)
CALLER = Caller("CT1", "ISOCENTER", "10.1.2.3")


def verdict(
    caller: Caller = CALLER, rules: AdmissionRules = RULES, *, free_mb: int = 100, draining: bool = False
) -> Accepted | Rejected:
    return admit(caller, rules, free_mb=free_mb, draining=draining)


def code(found: Accepted | Rejected) -> tuple[int, int, int]:
    assert isinstance(found, Rejected)
    return found.result, found.source, found.reason


@pytest.mark.parametrize(
    "caller",
    [
        CALLER,
        replace(CALLER, called_ae="SECOND"),
        replace(CALLER, calling_ae=" CT1    ", called_ae="ISOCENTER       "),
        replace(CALLER, calling_ae="CT1\0\0\0"),
        replace(CALLER, address="fd00::7"),
        replace(CALLER, address="::ffff:10.1.2.3"),
    ],
)
def test_a_known_peer_from_its_network_is_accepted(caller: Caller) -> None:
    """At any of our AE titles; padding does not count, and IPv4 may come mapped into IPv6."""
    assert verdict(caller) == Accepted("ct1", may_send=True)


@pytest.mark.parametrize("called", ["OTHER", "isocenter", "../../x", ""])
def test_an_association_for_someone_else_is_rejected(called: str) -> None:
    """(1,1,7); the words name ours and where to change it."""
    found = verdict(replace(CALLER, called_ae=called))

    assert code(found) == (1, 1, 7)
    assert "node.ae_titles" in found.why


@pytest.mark.parametrize(
    ("caller", "what"),
    [
        (replace(CALLER, calling_ae="NOBODY"), "add it to peers.toml"),
        (replace(CALLER, calling_ae="ct1"), "add it to peers.toml"),
        (replace(CALLER, address="10.2.0.1"), "`addresses` of peer ct1"),
        (replace(CALLER, address="fe80::1"), "`addresses` of peer ct1"),
    ],
)
def test_an_unknown_caller_is_rejected(caller: Caller, what: str) -> None:
    """(1,1,3); the words say what to change on which side."""
    found = verdict(caller)

    assert code(found) == (1, 1, 3)
    assert what in found.why


@pytest.mark.parametrize(
    ("calling", "word"),
    [("CT1", "CT1"), ("CT 7", "'CT 7'"), ("'$(reboot)", "''\"'\"'$(reboot)'"), ("`reboot`", "'`reboot`'")],
)
def test_the_command_that_accepts_a_caller_can_be_pasted(calling: str, word: str) -> None:
    """A shell takes the AE title for one word, whatever a stranger called itself."""
    why = verdict(replace(CALLER, calling_ae=calling), AdmissionRules(("ISOCENTER",))).why
    assert f"(`isocenter peers accept {word}`)" in why


def test_unknown_callers_may_be_accepted_by_setting() -> None:
    """As nobody's: a caller from elsewhere does not become the peer whose AE title it uses."""
    rules = replace(RULES, accept_unknown=True)

    assert verdict(replace(CALLER, calling_ae="NOBODY"), rules) == Accepted(None, may_send=True)
    assert verdict(replace(CALLER, address="10.2.0.1"), rules) == Accepted(None, may_send=True)


def test_our_own_address_book_does_not_restrict_callers() -> None:
    """`address` is where we call a peer; many send from another interface than they listen on."""
    assert verdict(Caller("PACS", "ISOCENTER", "192.168.1.1")) == Accepted("pacs", may_send=True)


def test_peers_that_share_an_ae_title_are_told_apart_by_address() -> None:
    """Networks first, then the address we call them at."""
    peers = (
        KnownPeer("anywhere", "AX"),
        KnownPeer("here", "AX", address="10.0.0.5"),
        KnownPeer("net", "AX", networks=(ip_network("10.7.0.0/16"),)),
    )
    rules = replace(RULES, peers=peers)
    found = [verdict(Caller("AX", "ISOCENTER", address), rules) for address in ("10.7.0.1", "10.0.0.5", "10.0.0.6")]

    assert found == [Accepted(name, may_send=True) for name in ("net", "here", "anywhere")]


def test_a_destination_may_verify_only() -> None:
    """Its C-ECHO is answered; it may not send studies."""
    rules = replace(RULES, peers=(replace(PACS, may_send=False),))

    assert verdict(Caller("PACS", "ISOCENTER", "10.9.9.9"), rules) == Accepted("pacs", may_send=False)


def test_a_draining_node_asks_to_come_back() -> None:
    """(2,3,1): transient, so that senders try again."""
    assert code(verdict(draining=True)) == (2, 3, 1)


@pytest.mark.parametrize(("free_mb", "accepted"), [(100, True), (99, False)])
def test_below_the_mark_no_association_is_taken(free_mb: int, accepted: bool) -> None:
    """Earlier than the reserve, so that running associations can end."""
    found = verdict(free_mb=free_mb)

    assert isinstance(found, Accepted) is accepted
    assert accepted or code(found) == (2, 3, 1)


def test_a_stranger_is_not_told_how_we_are() -> None:
    """Permanent reasons come before transient ones."""
    assert code(verdict(replace(CALLER, calling_ae="NOBODY"), free_mb=0, draining=True)) == (1, 1, 3)


def test_a_peer_with_a_certificate_is_told_by_its_subject() -> None:
    """All attributes must be there; more may be; the peer that asks for most is the one."""
    peers = (replace(CT1, name="strict", subject=("CN=ct1",)), CT1)
    rules = replace(RULES, peers=peers)

    assert verdict(replace(CALLER, subject=("O=Hospital", "CN=ct1")), rules) == Accepted("strict", may_send=True)
    assert verdict(replace(CALLER, subject=("CN=other",)), rules) == Accepted("ct1", may_send=True)


@pytest.mark.parametrize("subject", [None, (), ("CN=ct2", "O=Hospital"), ("CN=ct1",)])
def test_a_wrong_certificate_is_rejected(subject: tuple[str, ...] | None) -> None:
    """(1,1,3), and the words say on which side to look."""
    rules = replace(RULES, peers=(replace(CT1, subject=("CN=ct1", "O=Hospital")),))
    found = verdict(replace(CALLER, subject=subject), rules)

    assert code(found) == (1, 1, 3)
    assert "`certificate` of the peer" in found.why


def test_tls_can_be_required() -> None:
    """Of everybody, strangers included."""
    rules = replace(RULES, require_tls=True, accept_unknown=True)

    assert code(verdict(CALLER, rules)) == (1, 1, 3)
    assert verdict(replace(CALLER, subject=()), rules) == Accepted("ct1", may_send=True)


@pytest.mark.parametrize(
    ("user", "passcode", "accepted"),
    [
        ("tech", b"secret", True),
        (None, b"", False),
        ("tech", b"", False),
        ("tech", b"Secret", False),
        ("x", b"secret", False),
    ],
)
def test_a_user_identity_is_enforced_where_it_is_asked_for(user: str | None, passcode: bytes, accepted: bool) -> None:
    """(1,2,1) also for a peer that sends none; neither name nor passcode of the caller is repeated."""
    rules = replace(RULES, peers=(replace(CT1, user="tech", passcode=b"secret"),))
    found = verdict(replace(CALLER, user=user, passcode=passcode), rules)

    assert isinstance(found, Accepted) is accepted
    if not accepted:
        assert code(found) == (1, 2, 1)
        assert "secret" not in found.why


@pytest.mark.parametrize("address", ["", "unknown", "_hidden"])
def test_who_calls_from_no_address_is_in_no_network(address: str) -> None:
    """A proxy before the window's port may say anything of who calls it."""
    assert not may_call_from((ip_network("0.0.0.0/0"), ip_network("::/0")), address)
    assert may_call_from((), address)


def test_of_two_peers_of_one_title_the_address_tells_which_calls_in_either_form() -> None:
    far = replace(PACS, name="far", address="10.9.9.8")

    found = verdict(replace(CALLER, calling_ae="PACS", address="::ffff:10.9.9.8"), replace(RULES, peers=(PACS, far)))

    assert found == Accepted("far", may_send=True)
