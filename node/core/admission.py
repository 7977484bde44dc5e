"""Decides who may open an association with the node, and what to tell whom it turns away."""

import shlex
from dataclasses import dataclass, field, replace
from enum import IntEnum
from hmac import compare_digest
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address


@dataclass(frozen=True)
class Caller:
    """What an A-ASSOCIATE-RQ and its connection say: AE titles, padding included or not, and the IP address.

    subject: attributes of the subject of its TLS certificate, as "CN=name"; None without TLS. user, passcode: of its
    User Identity, None where it sent none.
    """

    calling_ae: str
    called_ae: str
    address: str
    subject: tuple[str, ...] | None = None
    user: str | None = None
    passcode: bytes = field(default=b"", repr=False)


@dataclass(frozen=True)
class KnownPeer:
    """A peer as far as admission needs it.

    networks: where it may call from; empty means anywhere. address: where *we* call it. That one is not required of
    a caller: many systems send from another interface, or from behind a translated address, than they listen on.
    It only decides between two peers that share an AE title. subject: what its certificate's subject must have;
    empty means that it need not use TLS. user: the name it must give, with the passcode if one is set. may_report:
    whether it is asked for storage commitment, may_ask: whether it may ask us.
    """

    name: str
    ae_title: str
    address: str = ""
    networks: tuple[IPv4Network | IPv6Network, ...] = ()
    may_send: bool = True
    subject: tuple[str, ...] = ()
    user: str = ""
    passcode: bytes = field(default=b"", repr=False)
    may_report: bool = False
    may_ask: bool = False


@dataclass(frozen=True)
class AdmissionRules:
    """Who we are and whom we know. refuse_below_mb: free room under which no new association is taken.

    require_tls: whether associations without TLS are rejected.
    """

    ae_titles: tuple[str, ...]
    peers: tuple[KnownPeer, ...] = ()
    accept_unknown: bool = False
    refuse_below_mb: int = 0
    require_tls: bool = False


@dataclass(frozen=True)
class Accepted:
    """peer: its name, None for a caller that is not listed. may_send: whether it may store, not only verify.

    may_report, may_ask: its part in storage commitment.
    """

    peer: str | None
    may_send: bool
    may_report: bool = False
    may_ask: bool = False


class RejectResult(IntEnum):
    """Result of an A-ASSOCIATE-RJ (PS3.8 table 9-21)."""

    PERMANENT = 1
    TRANSIENT = 2


class RejectSource(IntEnum):
    """Source of an A-ASSOCIATE-RJ (PS3.8 table 9-21)."""

    SERVICE_USER = 1
    PROVIDER_ACSE = 2
    PROVIDER_PRESENTATION = 3


NO_REASON_GIVEN = 1
APPLICATION_CONTEXT_NOT_SUPPORTED = 2
PROTOCOL_VERSION_NOT_SUPPORTED = 2
CALLING_AE_NOT_RECOGNIZED = 3
CALLED_AE_NOT_RECOGNIZED = 7
TEMPORARY_CONGESTION = 1
LOCAL_LIMIT_EXCEEDED = 2


@dataclass(frozen=True)
class Rejected:
    """Result, source and reason of the A-ASSOCIATE-RJ (PS3.8 table 9-21); why: what to change, and on which side."""

    result: RejectResult
    source: RejectSource
    reason: int
    why: str


def admit(caller: Caller, rules: AdmissionRules, *, free_mb: int, draining: bool) -> Accepted | Rejected:
    """Whether this caller may speak to us now. AE titles are compared exactly, padding aside."""
    caller = replace(caller, address=plain_address(caller.address))
    called = caller.called_ae.strip(" \0")
    if called not in rules.ae_titles:
        return _never(
            CALLED_AE_NOT_RECOGNIZED,
            f"called AE title {called!a} is not ours ({', '.join(rules.ae_titles)}): correct it in the sender, "
            "or add it to node.ae_titles in node.toml",
        )
    if rules.require_tls and caller.subject is None:
        return _never(
            CALLING_AE_NOT_RECOGNIZED,
            "the association came without TLS, and tls.required is set: switch TLS on in the sender",
        )
    peer = _peer_of(caller, rules.peers)
    if peer is None and not rules.accept_unknown:
        return _never(CALLING_AE_NOT_RECOGNIZED, _why_unknown(caller, rules.peers))
    if peer is not None and not _is_user(caller, peer):
        return Rejected(
            RejectResult.PERMANENT,
            RejectSource.PROVIDER_ACSE,
            NO_REASON_GIVEN,
            f"peer {peer.name} must identify itself as user {peer.user!a}, with its passcode if one is set: correct "
            "the user identity in the sender, or user and passcode_file in peers.toml",
        )
    if draining:
        return _not_now("the node is being stopped: send again later")
    if free_mb < rules.refuse_below_mb:
        return _not_now(
            f"only {free_mb} MB of disk are free, less than intake.refuse_associations_mb ({rules.refuse_below_mb}): "
            "make room for the node"
        )
    if peer is None:
        return Accepted(None, may_send=True)
    return Accepted(peer.name, peer.may_send, peer.may_report, peer.may_ask)


def understand(application_context: str, ours: str, *, has_version: bool) -> Rejected | None:
    """Whether a caller speaks what we speak, or what it is told. ours: the one application context that DICOM has."""
    vendor = "the sender's software does not keep to DICOM: report this line to its vendor"
    if not has_version:
        why = f"the sender does not offer version 1 of the protocol: {vendor}"
        return Rejected(RejectResult.PERMANENT, RejectSource.PROVIDER_ACSE, PROTOCOL_VERSION_NOT_SUPPORTED, why)
    if application_context != ours:
        why = f"the application context {application_context[:64]!a} is not DICOM's: {vendor}"
        return _never(APPLICATION_CONTEXT_NOT_SUPPORTED, why)
    return None


def _peer_of(caller: Caller, peers: tuple[KnownPeer, ...]) -> KnownPeer | None:
    """The peer that calls; of several with its AE title the one whose networks name it, then whose address it has."""
    fitting = [
        peer
        for peer in _titled(caller, peers)
        if may_call_from(peer.networks, caller.address) and _has_subject(caller, peer)
    ]
    return max(
        fitting,
        key=lambda peer: (len(peer.subject), bool(peer.networks), peer.address == caller.address),
        default=None,
    )


def _has_subject(caller: Caller, peer: KnownPeer) -> bool:
    return not peer.subject or (caller.subject is not None and set(peer.subject) <= set(caller.subject))


def _is_user(caller: Caller, peer: KnownPeer) -> bool:
    if not peer.user:
        return True
    return caller.user == peer.user and (not peer.passcode or compare_digest(caller.passcode, peer.passcode))


def _titled(caller: Caller, peers: tuple[KnownPeer, ...]) -> list[KnownPeer]:
    calling = caller.calling_ae.strip(" \0")
    return [peer for peer in peers if peer.ae_title == calling]


def may_call_from(networks: tuple[IPv4Network | IPv6Network, ...], address: str) -> bool:
    """Whether an address is in one of the networks; any is where there are none, and what is no address is in none."""
    if not networks:
        return True
    try:
        where = ip_address(plain_address(address))
    except ValueError:
        return False
    return any(where in network for network in networks)


def plain_address(address: str) -> str:
    """An address as it is written: one of IPv4 comes within IPv6 where one socket is open for both."""
    try:
        found = ip_address(address)
    except ValueError:
        return address
    return str(found.ipv4_mapped) if isinstance(found, IPv6Address) and found.ipv4_mapped else address


def _why_unknown(caller: Caller, peers: tuple[KnownPeer, ...]) -> str:
    calling = caller.calling_ae.strip(" \0")
    strangers = [peer for peer in _titled(caller, peers) if may_call_from(peer.networks, caller.address)]
    if strangers:
        shown = "without a certificate" if caller.subject is None else f"with certificate {', '.join(caller.subject)!a}"
        return (
            f"AE title {calling!a} came {shown}, which is not that of peer "
            f"{' or '.join(peer.name for peer in strangers)}: correct the sender's certificate, or `certificate` of "
            "the peer in peers.toml"
        )
    names = [peer.name for peer in _titled(caller, peers)]
    if names:
        return (
            f"AE title {calling!a} may not call from {caller.address}: add this address to `addresses` of peer "
            f"{' or '.join(names)} in peers.toml, or correct the sender's network"
        )
    return (
        f"calling AE title {calling!a} is unknown: add it to peers.toml "
        f"(`isocenter peers accept {shlex.quote(calling)}`), or correct it in the sender"
    )


def _never(reason: int, why: str) -> Rejected:
    return Rejected(RejectResult.PERMANENT, RejectSource.SERVICE_USER, reason, why)


def _not_now(why: str) -> Rejected:
    return Rejected(RejectResult.TRANSIENT, RejectSource.PROVIDER_PRESENTATION, TEMPORARY_CONGESTION, why)
