"""The service's clock: indexes when woken, looks at gathering studies when due, and puts back what was stranded."""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from pathlib import Path

import sqlalchemy as sa
import structlog
from apscheduler.schedulers.background import BackgroundScheduler

from node.actions import keep_reports
from node.admin.metrics import EVERY_S as METRICS_EVERY_S
from node.admin.metrics import Metrics
from node.core.clock_step import NO_STEP, StepWatch
from node.core.identity import StudyUID
from node.core.model import ModelFacts
from node.errors import LedgerUnusable, SpoolFull
from node.intake.callers import keep_ended
from node.intake.gathering import Gathering
from node.intake.indexer import Indexer
from node.service.arranged import arrange
from node.service.reconcile import reconcile
from node.service.steady import SteadyFile
from node.service.survey import LOOK_S
from node.settings import Configuration
from node.state.associations import Associations
from node.state.ledger import Ledger, is_unusable
from node.state.mailbox import Mailbox, ReportLetter
from node.state.queue import Queue
from node.state.retention import Periods, retain
from node.state.rows import StudyRow
from node.state.spool import Spool
from node.state.wake import ARRIVED, Wake

log = structlog.get_logger()

SWEEP_S = 2.0
"""The indexer looks at the spool at least so often, should a ring of the bell be lost."""
INDEX_S = 2.0
"""The indexer works for about so long before studies are looked at again: else none would become complete while more
arrives than can be indexed."""
UNUSABLE_PAUSE_S = 2.0
"""Before the ledger is tried again that was full, locked or gone."""
RECONCILE_S = 30
RETAIN_S = 3600
WORKFLOWS_KEPT = timedelta(days=1)
"""The ledger has the history; what the engine still knows of finished work helps for a day, when it misbehaved."""
CALLERS_S = 2


class ServiceClock:
    """Everything that happens in the service process because of time or because something arrived."""

    def __init__(
        self,
        configuration: Configuration,
        ledger: Ledger,
        queue: Queue,
        spool: Spool,
        home: Path,
        models: Mapping[str, ModelFacts],
        now: Callable[[], datetime],
        latest: Callable[[], Configuration],
        metrics: Metrics,
    ) -> None:
        """latest: the configuration to work by; asked between one look and the next. metrics: told what happens."""
        self._ledger, self._queue, self._now, self._home, self._latest = ledger, queue, now, home, latest
        self._arranged = lambda found: arrange(found, ledger, queue, spool, home, models, now)
        self._associations = Associations(home)
        self._reports = Mailbox(home, ReportLetter)
        self._wake = Wake(home / ARRIVED)
        self._by = self._arranged(configuration)
        self.gathering = Gathering(
            ledger,
            queue,
            self._by.rules,
            is_pending=lambda uid: spool.holds(StudyUID(uid)),
            open_associations=self._open_associations,
            clock=now,
            is_lacking=self._is_lacking,
        )
        self.indexer = Indexer(ledger, spool, home=home, clock=now, counted=metrics.instance)
        self._metrics = metrics
        logging.getLogger("apscheduler").setLevel(logging.ERROR)  # a look that takes long is left out: that is meant
        self._scheduler = BackgroundScheduler(timezone="UTC")
        self._steps = StepWatch(now, time.monotonic)
        self._steady = SteadyFile(home)

    def every(self, seconds: float, look: Callable[[], object]) -> None:
        """Do this too, at intervals, while the clock runs."""
        name = getattr(look, "__qualname__", repr(look))
        self._scheduler.add_job(
            self._unless_unusable, "interval", [look], name=name, seconds=seconds, coalesce=True, max_instances=1
        )

    def run(self, stop: threading.Event) -> None:
        """Until told to stop: index what arrives, complete what is complete."""
        self.every(CALLERS_S, self._keep_callers)
        self.every(CALLERS_S, self._keep_pledges)
        self.every(RETAIN_S, self._see)
        self.every(RECONCILE_S, self._reconcile)
        self.every(RETAIN_S, self._retain)
        self.every(LOOK_S, self._survey)
        self.every(METRICS_EVERY_S, self._metrics.look)
        self._steady.look(self._now())
        self._begin()
        self._scheduler.start()
        self._unless_unusable(self._reconcile)
        threading.Thread(target=self._ring_when, args=(stop,), name="stop-bell", daemon=True).start()
        try:
            while not stop.is_set():
                self._after_step(self._steps.look())
                self._take(self._latest())
                try:
                    is_drained = self.indexer.drain(INDEX_S)
                    until = self.gathering.look()
                except (LedgerUnusable, SpoolFull) as error:
                    log.warning("waiting-for-room", why=str(error))
                    stop.wait(UNUSABLE_PAUSE_S)  # not for the bell, which the receivers go on ringing
                else:
                    if is_drained:
                        self._wake.wait(self._pause_s(until))
        finally:
            self._scheduler.shutdown(wait=True)
            self._by.source_count.close()
            self._wake.close()

    @property
    def configuration(self) -> Configuration:
        """What the service works by now."""
        return self._by.configuration

    def deliver(self, delivery_id: str, attempt: int) -> None:
        """One attempt to send or to prove, by the peers as they are when it begins."""
        self._by.courier.deliver(delivery_id, attempt)

    def _take(self, configuration: Configuration) -> None:
        """Work by this from now on. What is being sent goes on by what it began with."""
        if configuration is self._by.configuration:
            return
        before, self._by = self._by, self._arranged(configuration)
        self.gathering.rules = self._by.rules
        before.source_count.close()
        self._begin()
        log.info("configuration-taken-over")

    def _begin(self) -> None:
        """What is looked at at once where peers are new."""
        self._scheduler.add_job(self._unless_unusable, args=(self._survey,))
        self._by.expiring.look()

    def _after_step(self, step: timedelta) -> None:
        """Somebody set the clock. What was to come at a time of day would come so much later where it was set back."""
        if not step:
            return
        log.warning("clock-was-set", by_s=round(step.total_seconds()))
        self._steady.look(self._now())
        if step < NO_STEP:
            for one in self._scheduler.get_jobs():
                one.modify(next_run_time=self._now())
            self._unless_unusable(lambda: self._queue.hasten(-step))

    @staticmethod
    def _unless_unusable(look: Callable[[], object]) -> None:
        """What is done at intervals is left out while the ledger cannot be used; the next time comes."""
        try:
            look()
        except LedgerUnusable as error:
            why = str(error)
        except sa.exc.DBAPIError as error:  # of the queue's tables, which lie beside the ledger's
            if not is_unusable(error):
                raise
            why = str(error.orig)
        else:
            return
        log.warning("ledger-unusable", why=why.partition("\n")[0])

    def _ring_when(self, stop: threading.Event) -> None:
        stop.wait()
        self._wake.ring()

    def _pause_s(self, until: datetime | None) -> float:
        if until is None:
            return SWEEP_S
        return min(SWEEP_S, max(0.02, (until - self._now()).total_seconds()))

    def _reconcile(self) -> None:
        reconcile(self._ledger, self._queue, self._now())
        self._by.unannounced.look()

    def _survey(self) -> None:
        self._by.survey.look()

    def _see(self) -> None:
        """What archives hold of what is pledged, and which certificates end."""
        self._by.expiring.look()
        self._by.reporting.see()

    def _is_lacking(self, study: StudyRow) -> bool:
        return self._by.source_count.is_lacking(study)

    def _retain(self) -> None:
        now = self._now()
        forgotten = retain(self._ledger, self._home, periods_of(self.configuration), now, self._steady.look(now))
        workflows = self._queue.forget(self._now() - WORKFLOWS_KEPT)
        if any(vars(forgotten).values()) or workflows:
            log.info("kept-for-their-time", **vars(forgotten), workflows=workflows)

    def _keep_callers(self) -> None:
        for one in keep_ended(self._ledger, self._associations):
            self._metrics.association(one)
        keep_reports(self._ledger, self._queue, self._reports, self._now())

    def _keep_pledges(self) -> None:
        self._by.pledging.look()
        self._by.reporting.report_due()

    def _open_associations(self) -> frozenset[str]:
        return frozenset(one.id for one in self._associations.records() if one.is_open)


def periods_of(configuration: Configuration) -> Periods:
    """How long things are kept."""
    given = configuration.settings.retention
    return Periods(
        study=timedelta(days=given.study_days),
        result=timedelta(days=given.result_days),
        ledger=timedelta(days=given.ledger_days),
        study_of={
            peer.name: timedelta(days=peer.study_days) for peer in configuration.peers if peer.study_days is not None
        },
    )
