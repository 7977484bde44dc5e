"""Asks the source of a study, beside the clock, whether it holds images of the series that did not arrive yet."""

from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
import structlog

from node.core.study import InstanceKind
from node.sending.association import AssociationFailed
from node.sending.destination import Destination, QueryRefused
from node.sending.query import instances_held
from node.state import schema
from node.state.ledger import Ledger
from node.state.rows import StudyRow

log = structlog.get_logger()

PATIENCE = timedelta(seconds=30)
"""A source that has not answered within this does not hold a study up."""
ASK_AGAIN = timedelta(seconds=30)


@dataclass(frozen=True)
class _Question:
    asked_at: datetime
    is_lacking: Future[bool]


class SourceCount:
    """Answers from what was asked before, and asks where it must; never waits for a source itself.

    peers: those that may be asked, by name.
    """

    def __init__(self, ledger: Ledger, peers: Mapping[str, Destination], clock: Callable[[], datetime]) -> None:
        self._ledger, self._peers, self._clock = ledger, peers, clock
        self._questions: dict[tuple[str, datetime], _Question] = {}
        self._threads = ThreadPoolExecutor(4, thread_name_prefix="source-count")

    def is_lacking(self, study: StudyRow) -> bool:
        """Whether the study should wait: its source holds more, or has just been asked."""
        peer = self._peers.get(study.peer or "")
        if peer is None:
            return False
        now, key = self._clock(), (study.id, study.last_at)
        question = self._questions.get(key)
        if question is None or (question.is_lacking.done() and now - question.asked_at > ASK_AGAIN):
            self._questions = {old: one for old, one in self._questions.items() if old[0] != study.id}
            self._questions[key] = _Question(now, self._threads.submit(self._ask, peer, study))
            return True
        if not question.is_lacking.done():
            return now - question.asked_at < PATIENCE
        return question.is_lacking.result()

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _ask(self, peer: Destination, study: StudyRow) -> bool:
        table = schema.instance
        query = sa.select(table.c.series_uid, table.c.sop_uid)
        query = query.where(table.c.study_id == study.id, table.c.kind == InstanceKind.IMAGE.value)
        with self._ledger.read() as connection:
            rows = connection.execute(query).all()
        try:
            held = instances_held(peer, study.study_uid, sorted({row.series_uid for row in rows}))
        except (AssociationFailed, QueryRefused) as error:
            log.warning("source-not-asked", study=study.id, peer=peer.name, error=type(error).__name__)
            return False
        missing = held - {row.sop_uid for row in rows}
        if missing:
            log.info("source-holds-more", study=study.id, missing=len(missing))
        return bool(missing)
