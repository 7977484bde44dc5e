"""What all associations of a receiver share: limits, rules, door and journal."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from node.core.admission import Accepted, AdmissionRules, Caller, KnownPeer, Rejected, admit
from node.errors import ConfigurationInvalid
from node.intake.door import Door
from node.intake.journal import Journal
from node.intake.tls import Tls
from node.settings import Configuration, Peer
from node.state.mailbox import AnswerLetter, Mailbox, ReportLetter, RequestLetter
from node.state.seats import Seats


@dataclass(frozen=True)
class Limits:
    """What one peer may cost. request_timeout_s: until its A-ASSOCIATE-RQ; pdu_deadline_s: for a PDU that has begun."""

    request_timeout_s: float = 5.0
    pdu_deadline_s: float = 30.0
    idle_timeout_s: float = 60.0
    max_pdu_bytes: int = 1 << 17
    max_command_bytes: int = 1 << 16
    max_identifier_bytes: int = 1 << 22
    """Of the data set of a request that is not a C-STORE: a storage commitment of 20,000 instances has 2.5 MB."""


PDU_SLACK_BYTES = 1 << 16
"""Some senders exceed the negotiated PDU length by their own headers."""


def admission_rules(configuration: Configuration) -> AdmissionRules:
    """The configuration as far as admission needs it."""
    return AdmissionRules(
        ae_titles=configuration.settings.node.ae_titles,
        peers=tuple(
            KnownPeer(
                name=peer.name,
                ae_title=peer.ae_title,
                address=peer.address,
                networks=peer.addresses,
                may_send="source" in peer.roles,
                subject=peer.certificate,
                user=peer.user,
                passcode=_passcode(peer),
                may_report=peer.proof == "commitment",
                may_ask=peer.commitment,
            )
            for peer in configuration.peers
        ),
        accept_unknown=configuration.settings.intake.unknown_callers == "accept",
        refuse_below_mb=configuration.settings.intake.refuse_associations_mb,
        require_tls=configuration.settings.tls.required,
    )


def _passcode(peer: Peer) -> bytes:
    """Raises ConfigurationInvalid where the file cannot be read or is empty."""
    if not peer.passcode_file:
        return b""
    try:
        passcode = Path(peer.passcode_file).read_bytes().strip()
    except OSError as error:
        raise ConfigurationInvalid(f"peers.toml: peer {peer.name}: passcode_file cannot be read: {error}") from error
    if not passcode:
        raise ConfigurationInvalid(f"peers.toml: peer {peer.name}: {peer.passcode_file} is empty")
    return passcode


class Desk:
    """Where every association of a receiver turns to."""

    def __init__(
        self,
        configuration: Configuration,
        home: Path,
        door: Door,
        journal: Journal,
        seats: Seats,
        now: Callable[[], datetime],
        limits: Limits,
        tls: Tls | None = None,
    ) -> None:
        self.door = door
        self.journal = journal
        self.seats = seats
        self.now = now
        self.limits = limits
        self.tls = tls
        self.reports, self.requests = Mailbox(home, ReportLetter), Mailbox(home, RequestLetter)
        self.answers = Mailbox(home, AnswerLetter)
        self.configure(configuration)

    def configure(self, configuration: Configuration) -> None:
        """Peers have changed: the next association is admitted by the new ones."""
        self._rules = admission_rules(configuration)
        self._refusing_conflicts = {peer.name for peer in configuration.peers if peer.on_conflict == "refuse"}

    def admit(self, caller: Caller) -> Accepted | Rejected:
        """Whether this caller may speak to us now."""
        return admit(caller, self._rules, free_mb=self.door.free_mb(), draining=self.door.is_draining)

    def refuses_conflicts(self, peer: str | None) -> bool:
        """Whether the peer wants other bytes under a known UID refused."""
        return peer in self._refusing_conflicts
