"""Opens an association or turns it away: from a connection's first byte to the A-ASSOCIATE-AC."""

from dataclasses import dataclass

import structlog

from node.core.admission import (
    LOCAL_LIMIT_EXCEEDED,
    Accepted,
    Caller,
    Rejected,
    RejectResult,
    RejectSource,
    understand,
)
from node.core.upper_layer import PduType
from node.intake import pdu
from node.intake.advice import Cause, advised
from node.intake.desk import PDU_SLACK_BYTES, Desk
from node.intake.journal import Entry
from node.intake.negotiation import STORAGE_CLASSES, settle
from node.intake.pdu import AbortReason, Breach
from node.intake.request import APPLICATION_CONTEXT_NAME, Context, encode_acceptance, negotiate, read_request
from node.intake.tls import subject_of
from node.intake.wire import Ended, Wire
from node.state.seats import Seat

log = structlog.get_logger()


@dataclass(frozen=True)
class Opened:
    """An association that is accepted. contexts: by id; largest_pdu: what the peer takes, 0 for any length.

    rights: what its peer may do. acceptance: the A-ASSOCIATE-AC, which is still to be sent.
    """

    entry: Entry
    rights: Accepted
    contexts: dict[int, Context]
    largest_pdu: int
    acceptance: bytes


class TurnedAway(Exception):
    """No association came about; `last_word` is what the peer is told."""

    def __init__(self, last_word: bytes) -> None:
        super().__init__()
        self.last_word = last_word


def open_association(wire: Wire, desk: Desk, seat: Seat, address: str) -> Opened:
    """Shake hands where TLS is spoken, read the request, admit and negotiate. Raises TurnedAway, Breach or Ended."""
    subject = _secured(wire, desk)
    kind, body = wire.read_pdu(
        wait_s=desk.limits.request_timeout_s, largest=desk.limits.max_pdu_bytes + PDU_SLACK_BYTES
    )
    if kind != PduType.ASSOCIATE_RQ:
        known = kind in set(PduType)
        raise Breach("no association was requested", _reason(known=known), Cause.NO_ASSOCIATION)
    request = read_request(bytes(body))
    identity = request.identity
    caller = Caller(
        calling_ae=request.calling_ae,
        called_ae=request.called_ae,
        address=address,
        subject=subject,
        user=None if identity is None else identity.user,
        passcode=b"" if identity is None else identity.passcode,
    )
    verdict = understand(
        request.application_context, APPLICATION_CONTEXT_NAME, has_version=request.has_version
    ) or desk.admit(caller)
    if isinstance(verdict, Rejected):
        raise _turned_away(desk, caller, verdict)
    full = desk.seats.promote(seat)
    if full is not None:
        source = RejectSource.PROVIDER_PRESENTATION
        raise _turned_away(desk, caller, Rejected(RejectResult.TRANSIENT, source, LOCAL_LIMIT_EXCEEDED, full.value))
    supported = settle(request.contexts, verdict)
    results, contexts, roles = negotiate(request, supported)
    acceptance = encode_acceptance(request, results, roles, largest_pdu=desk.limits.max_pdu_bytes)
    _check_patience(wire, caller)
    entry = desk.journal.opened(caller, verdict.peer)
    if not verdict.may_send and STORAGE_CLASSES.intersection(str(one.abstract_syntax) for one in request.contexts):
        entry.remark(advised(f"peer {verdict.peer} wanted to send, and its roles lack source", Cause.MAY_NOT_SEND))
    elif not contexts:
        entry.remark(advised("the sender proposed nothing that this node takes", Cause.NOTHING_TAKEN))
    return Opened(entry, verdict, contexts, request.largest_pdu, acceptance)


def _secured(wire: Wire, desk: Desk) -> tuple[str, ...] | None:
    """The subject of the peer's certificate; None where it speaks plainly."""
    if desk.tls is None or not wire.speaks_tls(desk.limits.request_timeout_s):
        return None
    return subject_of(wire.secure(desk.tls.context(), desk.limits.request_timeout_s))


def _check_patience(wire: Wire, caller: Caller) -> None:
    """A peer must wait for the answer; one that closed, aborted or went on without it gets no acceptance."""
    early = wire.peer_was_early()
    if early is None:
        return
    log.warning("peer-did-not-wait", calling_ae=ascii(caller.calling_ae), address=caller.address, pdu=early)
    if early in (0, PduType.ABORT):
        raise Ended
    raise Breach("the peer sent before it was accepted", _reason(known=early in set(PduType)), Cause.NOT_WAITING)


def _reason(*, known: bool) -> AbortReason:
    return AbortReason.UNEXPECTED_PDU if known else AbortReason.UNRECOGNIZED_PDU


def _turned_away(desk: Desk, caller: Caller, verdict: Rejected) -> TurnedAway:
    desk.journal.rejected(caller, verdict.why)
    return TurnedAway(pdu.reject(verdict.result, verdict.source, verdict.reason))
