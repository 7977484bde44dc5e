"""Runs one stage of one job: counts the attempt, does the work, and moves the job on, or says why not."""

import resource
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

import sqlalchemy as sa
import structlog

from ai.errors import ModelError, ModelRefused, OutOfMemory
from ai.warm import Waiting
from node.core.job import NEXT_STAGE, JobEvent, Stage
from node.core.retry import GiveUp, TryAgain, after_stage_failed
from node.core.said import said_by, told_with_kind
from node.errors import IsocenterError, LedgerUnusable, ProcessEnded, ReasonCode, Refused, SpoolFull
from node.jobs.choice import Choice
from node.jobs.company import Company
from node.jobs.growth import Growth
from node.jobs.watchdog import Watchdog
from node.settings import JobsTable
from node.state import work
from node.state.artefacts import discard, make_durable, new_folder, whole
from node.state.disk import room_needed
from node.state.ledger import Ledger, note
from node.state.queue import Queue
from node.state.rows import JobRow
from node.state.work import Ticket

log = structlog.get_logger()

NO_ROOM_PAUSE = timedelta(seconds=10)
GONE = (
    "are no longer here (purged when their time was over, or lost by the disk): erase the study and have it sent "
    "again, or restore a backup"
)


@dataclass(frozen=True)
class Assignment:
    """What a stage gets: the job and its run's start, where earlier artefacts lie, and an empty folder to fill.

    waiting: entered while the stage waits for another one of its process, whose time is not the job's.
    """

    job: JobRow
    started_at: datetime
    prepared: Path | None
    findings: Path | None
    folder: Path
    waiting: Waiting = nullcontext

    def volume(self) -> Path:
        """What was prepared of the images. Raises IsocenterError where it went with them."""
        assert self.prepared is not None  # noqa: S101  the state machine says so
        if not self.prepared.exists():
            raise IsocenterError(f"the images of job {self.job.id} {GONE}")
        return self.prepared


@dataclass(frozen=True)
class StageWork:
    """How one stage is done. `adopted` runs in the transaction that adopts the artefact, for what follows from it;
    `settled` runs once that is committed."""

    do: Callable[[Assignment], None]
    timeout_s: Callable[[JobRow], float]
    adopted: Callable[[sa.Connection, Assignment, datetime], None] = lambda _connection, _assignment, _now: None
    settled: Callable[[Assignment], None] = lambda _assignment: None


class _DiedBefore(Exception):
    """A process died in this stage."""


class Runner:
    """Every stage goes through here; it is one of the four edges that catch everything."""

    def __init__(
        self,
        ledger: Ledger,
        queue: Queue,
        *,
        home: Path,
        executor: str,
        limits: JobsTable,
        stages: Mapping[Stage, StageWork],
        clock: Callable[[], datetime],
        unanalysed: Callable[[str], None] = lambda _job_id: None,
        growth: Growth | None = None,
        renew: Callable[[], None] = lambda: None,
        printed: str = "",
    ) -> None:
        """unanalysed: called with a job's id once it has ended without findings. renew: ends this process, and a new
        one takes its place; called while no stage runs, where growth says so. printed: where lies what is printed here.
        """
        self._ledger, self._queue, self._home, self._executor = ledger, queue, home, executor
        self._limits, self._stages, self._clock = limits, stages, clock
        self._choice = Choice(queue)
        self._company = Company()
        self._broken_off: set[int] = set()
        """Attempts whose end the ledger could not be told."""
        self._unanalysed = unanalysed
        self._growth, self._renew = growth, renew
        self._printed = f"; what it printed is in {printed}" if printed else ""

    def run(self, stage: Stage, job_id: str, run: int, turn: int) -> None:
        """Run one stage. Doing so twice has the effect of once; a stale ticket has none."""
        ticket = Ticket(job_id, run, stage, turn)
        try:
            with self._company.beside():
                self._run(ticket, is_alone=False)
        except _DiedBefore:
            with self._company.alone():
                self._run(ticket, is_alone=True)
        if self._growth is not None and self._growth.is_suspected:
            with self._company.alone():
                self._renew_if_outgrown(self._growth, job_id)

    def _renew_if_outgrown(self, growth: Growth, job_id: str) -> None:
        """What ends here was adopted, and what waits has not begun."""
        if not (why := growth.verdict()):
            return
        log.warning("model-worker-outgrown", job=job_id, why=why)
        with self._ledger.write() as connection:
            note(connection, self._clock(), "model-worker-renewed", f"{why}: a new one takes its place", job_id=job_id)
        self._renew()

    def _run(self, offered: Ticket, *, is_alone: bool) -> None:
        started = self._start(offered, is_alone=is_alone)
        if started is None:
            self._unanalysed(offered.job_id)
            return
        assignment, ticket, attempt_id = started
        with structlog.contextvars.bound_contextvars(job=ticket.job_id, stage=ticket.stage.value):
            try:
                self._attempt(ticket, attempt_id, assignment)
            except LedgerUnusable:  # the stage is done again once the ledger can be used
                self._broken_off.add(attempt_id)
                raise

    def _attempt(self, ticket: Ticket, attempt_id: int, assignment: Assignment) -> None:
        log.info("stage-started", attempt=attempt_id)
        try:
            timeout_s = self._stages[ticket.stage].timeout_s(assignment.job)
            watchdog = Watchdog(timeout_s, self._too_long(ticket, attempt_id))
            with room_needed(), watchdog, whole(assignment.folder):
                self._stages[ticket.stage].do(replace(assignment, waiting=watchdog.paused))
                make_durable(assignment.folder, self._home)
        except Refused as refused:
            self._refuse(ticket, attempt_id, refused.reason, said_by(refused))
        except ModelRefused as refused:
            self._refuse(ticket, attempt_id, ReasonCode.MODEL_REFUSED, said_by(refused))
        except ProcessEnded as ended:
            self._error(ticket, attempt_id, ended.reason, said_by(ended), _outcome(ended.reason))
        except (MemoryError, OutOfMemory) as error:
            words = said_by(error) or "there was not enough memory"
            self._error(ticket, attempt_id, ReasonCode.OUT_OF_MEMORY, words)
        except SpoolFull as full:
            self._postpone(ticket, attempt_id, said_by(full))
        except LedgerUnusable:
            raise
        except (IsocenterError, ModelError) as error:
            log.warning("stage-failed", error=type(error).__name__)
            self._error(ticket, attempt_id, ReasonCode.MODEL_FAILED, said_by(error))
        except BaseException as error:  # a model may raise what ends a thread, too: its job would wait for ever
            log.exception("stage-failed")
            self._error(ticket, attempt_id, ReasonCode.MODEL_FAILED, told_with_kind(error) + self._printed)
        else:
            self._adopt(ticket, attempt_id, assignment)

    def _start(self, offered: Ticket, *, is_alone: bool) -> tuple[Assignment, Ticket, int] | None:
        """None where there is nothing to do. Raises _DiedBefore, and does nothing, where it must be done alone."""
        now, broken_off = self._clock(), tuple(self._broken_off)
        with self._ledger.write() as connection:
            work.break_off(connection, broken_off, now)
            chosen = self._choice.choose(connection, offered, now)
            if chosen is None:
                return None
            job, ticket = chosen
            attempt_id = work.start_attempt(connection, ticket, self._executor, now)
            errors, crashes = work.count_attempts(connection, ticket)
            if crashes and not is_alone:
                raise _DiedBefore  # of two that ran beside each other one may have ended both: now it is seen which
            verdict = self._verdict(errors, crashes) if crashes else None
            if isinstance(verdict, GiveUp):
                why, reason = verdict.why + self._printed, ReasonCode.MODEL_FAILED
                work.end_attempt(connection, attempt_id, "error", now, message=why)
                work.end_job(connection, job, JobEvent.FAILED, now, reason=reason, message=why)
                return None
            run = work.get_run(connection, ticket.job_id, ticket.run)
        self._broken_off.difference_update(broken_off)
        try:
            with room_needed():
                folder = new_folder(self._home, ticket, attempt_id)
        except SpoolFull as full:
            self._postpone(ticket, attempt_id, str(full))
            return None
        prepared, findings = (None if one is None else self._home / one for one in (run.prepared, run.findings))
        return Assignment(job, run.started_at, prepared, findings, folder), ticket, attempt_id

    def _adopt(self, ticket: Ticket, attempt_id: int, assignment: Assignment) -> None:
        now, following = self._clock(), NEXT_STAGE[ticket.stage]
        artefact = str(assignment.folder.relative_to(self._home))
        with self._ledger.write() as connection:
            adopted = work.adopt(connection, assignment.job, ticket, artefact, following, now)
            outcome = "done" if adopted else "stale"
            work.end_attempt(connection, attempt_id, outcome, now, peak_mb=_peak_mb())
            if adopted:
                self._stages[ticket.stage].adopted(connection, assignment, now)
            if adopted and following is not None:
                self._queue_next(connection, assignment.job, replace(ticket, stage=following))
        log.info("stage-ended", outcome=outcome)
        if adopted:
            self._stages[ticket.stage].settled(assignment)
        else:
            discard(assignment.folder)

    def _refuse(self, ticket: Ticket, attempt_id: int, reason: ReasonCode, message: str) -> None:
        now = self._clock()
        with self._ledger.write() as connection:
            job = work.get_job(connection, ticket.job_id)
            work.end_attempt(connection, attempt_id, "refused", now, message=message, peak_mb=_peak_mb())
            if work.is_due(job, ticket):
                work.end_job(connection, job, JobEvent.REFUSED, now, reason=reason, message=message)
        log.info("stage-refused", reason=reason.value)
        self._unanalysed(ticket.job_id)

    def _postpone(self, ticket: Ticket, attempt_id: int, message: str) -> None:
        """The disk has no room: that is nobody's failure, and the stage is tried until there is room."""
        now = self._clock()
        log.warning("no-room", why=message)
        with self._ledger.write() as connection:
            job = work.get_job(connection, ticket.job_id)
            work.end_attempt(connection, attempt_id, "no-room", now, message=message)
            again = work.next_turn(connection, job, ticket, now) if work.is_due(job, ticket) else None
            if again is not None:
                self._queue_next(connection, job, again, NO_ROOM_PAUSE)

    def _error(self, ticket: Ticket, attempt_id: int, reason: ReasonCode, message: str, outcome: str = "error") -> None:
        """Record the failure, and try the stage again later or give up."""
        self._record_error(ticket, attempt_id, reason, message, outcome)
        self._unanalysed(ticket.job_id)

    def _record_error(self, ticket: Ticket, attempt_id: int, reason: ReasonCode, message: str, outcome: str) -> None:
        now = self._clock()
        with self._ledger.write() as connection:
            job = work.get_job(connection, ticket.job_id)
            work.end_attempt(connection, attempt_id, outcome, now, message=message, peak_mb=_peak_mb())
            if not work.is_due(job, ticket):
                return
            verdict = self._verdict(*work.count_attempts(connection, ticket))
            if isinstance(verdict, GiveUp):
                words = f"{message} ({verdict.why})"
                work.end_job(connection, job, JobEvent.FAILED, now, reason=reason, message=words)
                return
            again = work.next_turn(connection, job, ticket, now)
            if again is not None:
                self._queue_next(connection, job, again, verdict.after)

    def _queue_next(
        self, connection: sa.Connection, job: JobRow, ticket: Ticket, after: timedelta = timedelta(0)
    ) -> None:
        self._queue.stage(connection, ticket, priority=job.priority, after=after)

    def _verdict(self, errors: int, crashes: int) -> TryAgain | GiveUp:
        limits = self._limits
        return after_stage_failed(
            errors=errors, crashes=crashes, error_limit=limits.error_attempts, crash_limit=limits.crash_attempts
        )

    def _too_long(self, ticket: Ticket, attempt_id: int) -> Callable[[float], None]:
        def record(timeout_s: float) -> None:
            self._error(ticket, attempt_id, ReasonCode.TIMEOUT, f"the stage took longer than {timeout_s:.0f} s")

        return record


def _outcome(reason: ReasonCode) -> str:
    """How an attempt counts whose process ended for this reason."""
    return "crashed" if reason is ReasonCode.UNDECODABLE else "error"


def _peak_mb() -> int:
    """The process's highest memory use so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
