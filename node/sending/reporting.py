"""Tells peers, on an association to them, what became of what they asked this node to keep; and asks their archives."""

import io
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

import structlog
from pydicom.uid import ImplicitVRLittleEndian

from node.core.retry import GiveUp, after_send_failed
from node.sending import qido, query
from node.sending.association import Association
from node.sending.destination import Destination, QueryRefused
from node.sending.outcome import NotReached
from node.sending.pdu import N_EVENT_REPORT_RQ, Tag
from node.settings import SendingTable
from node.state import pledges
from node.state.ledger import Ledger
from node.state.pledges import Pledge
from node.state.transaction import PUSH_MODEL_CLASS, PUSH_MODEL_INSTANCE, encode_report, event_type

log = structlog.get_logger()

CONTEXT = (PUSH_MODEL_CLASS, str(ImplicitVRLittleEndian))


class Reporting:
    """Storage commitment as its provider, as far as it calls others."""

    def __init__(
        self,
        ledger: Ledger,
        peers: Mapping[str, Destination],
        archives: Mapping[str, Destination],
        settings: SendingTable,
        clock: Callable[[], datetime],
    ) -> None:
        """peers: those that may ask, archives: those that must hold what is pledged; by name."""
        self._ledger, self._peers, self._archives, self._settings, self._clock = (
            ledger, peers, archives, settings, clock,
        )  # fmt: skip

    def report_due(self) -> None:
        """Call every peer that is to be told now."""
        with self._ledger.read() as connection:
            untold = pledges.untold(connection)
        for pledge in untold:
            if pledge.outcomes is not None and pledge.next_at is not None and pledge.next_at <= self._clock():
                self._report(pledge)

    def _report(self, pledge: Pledge) -> None:
        """Tell a peer the outcome of its transaction; it is tried for as long as results are."""
        now, peer = self._clock(), self._peers.get(pledge.peer)
        why = f"{pledge.peer} may not ask for storage commitment any more" if peer is None else ""
        try:
            is_told = peer is not None and self._told(replace(peer, our_ae_title=pledge.called_ae), pledge)
        except NotReached as failed:
            is_told, why = False, str(failed)
        verdict = after_send_failed(
            attempt=pledge.tries + 1,
            first_try=pledge.received_at,
            now=now,
            first_s=self._settings.backoff_first_s,
            max_s=self._settings.backoff_max_s,
            give_up=timedelta(days=self._settings.give_up_days),
        )
        with self._ledger.write() as connection:
            if is_told or peer is None or isinstance(verdict, GiveUp):
                pledges.record_told(connection, pledge, now)
            else:
                pledges.record_not_told(connection, pledge, now + verdict.after)
        if not is_told:
            log.warning("report-not-told", peer=pledge.peer, transaction=pledge.transaction_uid, why=why)

    def _told(self, peer: Destination, pledge: Pledge) -> bool:
        """Raises NotReached."""
        outcomes = pledge.outcomes or {}
        command: dict[Tag, int | str] = {
            Tag.AFFECTED_SOP_CLASS_UID: PUSH_MODEL_CLASS,
            Tag.COMMAND_FIELD: N_EVENT_REPORT_RQ,
            Tag.AFFECTED_SOP_INSTANCE_UID: PUSH_MODEL_INSTANCE,
            Tag.EVENT_TYPE_ID: event_type(outcomes),
        }
        content = encode_report(pledge.transaction_uid, pledge.references, outcomes)
        with Association(peer, [CONTEXT], provided=PUSH_MODEL_CLASS) as association:
            if CONTEXT not in association.accepted:
                return False
            response = association.request(association.accepted[CONTEXT], command, io.BytesIO(content))
            return response.status == 0

    def see(self) -> None:
        """Ask each archive for what was pledged until it holds it."""
        with self._ledger.read() as connection:
            unseen = list(pledges.unseen(connection))
        for one in unseen:
            archive = self._archives.get(one.archive)
            if archive is None:
                log.warning("archive-unknown", archive=one.archive, why="its peers.toml entry is gone: add it again")
                continue
            asked = query.instances_held if archive.web is None else qido.instances_held
            try:
                held = asked(archive, one.study_uid, sorted(one.series_uids))
            except (NotReached, QueryRefused) as failed:
                log.warning("archive-not-asked", archive=one.archive, why=str(failed))
                continue
            with self._ledger.write() as connection:
                pledges.record_seen(connection, one, held, self._clock())
