"""Watches studies arrive, decides when one is complete, and makes the jobs its routes ask for."""

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from fnmatch import fnmatchcase

import sqlalchemy as sa
import structlog

from node.core import completeness, routing
from node.core.clock_step import StepWatch
from node.core.completeness import Activity, Complete, GatheringPolicy, Wait
from node.core.identity import InstanceUID
from node.core.job import JobEvent, Priority, StudyEvent, priority_of
from node.core.model import ModelFacts
from node.core.provenance import input_digest, job_id, job_key
from node.core.routing import Arrival, Decision, RouteRule, Verdict
from node.core.stacks import split_into_stacks
from node.settings import Configuration, Route
from node.state import arrivals, schema, work
from node.state.arrivals import Held
from node.state.ledger import Ledger, note
from node.state.queue import Queue
from node.state.rows import NewJob, StudyRow

log = structlog.get_logger()

LACKING_PAUSE = timedelta(seconds=1)


@dataclass(frozen=True)
class Rules:
    """What decides over a study: routes with their compiled rules, installed models, policies of the peers."""

    configuration: Configuration
    routes: Sequence[tuple[Route, RouteRule]]
    models: Mapping[str, ModelFacts]
    settings_digest: str

    def policy(self, peer_name: str | None) -> GatheringPolicy:
        """How long to wait for studies of a peer; unknown callers get the node's own values."""
        given = self.configuration.settings.gathering
        peer = self.configuration.peer(peer_name) if peer_name else None
        quiet_s = peer.quiet_time_s(given.quiet_s) if peer else given.quiet_s
        cap_s = peer.cap_s if peer and peer.cap_s is not None else given.cap_s
        return GatheringPolicy(
            timedelta(seconds=quiet_s), timedelta(seconds=cap_s), timedelta(seconds=given.absolute_cap_s)
        )

    def is_excluded(self, study: StudyRow) -> bool:
        """Whether no route may take the study, for its patient's sake."""
        patterns = self.configuration.settings.gathering.exclude_patients
        return any(fnmatchcase(study.patient_id, pattern) for pattern in patterns)


class Gathering:
    """Decides over every study that is gathering; deciding twice changes nothing."""

    def __init__(
        self,
        ledger: Ledger,
        queue: Queue,
        rules: Rules,
        *,
        is_pending: Callable[[str], bool],
        open_associations: Callable[[], Collection[str]],
        clock: Callable[[], datetime],
        steady: Callable[[], float] = time.monotonic,
        is_lacking: Callable[[StudyRow], bool] = lambda _study: False,
    ) -> None:
        """is_pending: whether the spool holds instances of a Study Instance UID that are not in the ledger yet.
        open_associations: ids of those that are open now, asked once in each look. steady: seconds by a clock that
        nobody sets. is_lacking: whether a study's source holds images of its series that did not arrive yet; asked
        where the quiet time is over."""
        self._ledger, self._queue, self.rules = ledger, queue, rules
        self._is_pending, self._open_associations, self._clock = is_pending, open_associations, clock
        self._is_lacking = is_lacking
        self._since = clock()
        self._steps = StepWatch(clock, steady)

    def look(self) -> datetime | None:
        """Complete what is complete; returns when to look again, None where no study is gathering."""
        if self._steps.look():  # nothing that happened before tells how long a study has been quiet
            self._since = self._clock()
        with self._ledger.read() as connection:
            studies = arrivals.gathering_studies(connection)
        if not studies:
            return None
        opened = self._open_associations()
        return min((one for study in studies if (one := self._look_at(study, opened)) is not None), default=None)

    def _look_at(self, study: StudyRow, opened: Collection[str]) -> datetime | None:
        now = self._clock()
        activity = Activity(
            # While the node was down nobody could send: its own silence is not the sender's. Nor are the hours by which
            # somebody set the clock ahead.
            first_at=max(study.first_at, study.completed_at or study.first_at, self._since),
            last_at=max(study.last_at if study.last_at <= now else self._since, self._since),
            association_open=study.association_id in opened,
            pending=self._is_pending(study.study_uid),
            ordered=study.ordered,
        )
        verdict = completeness.decide(activity, self.rules.policy(study.peer), now)
        if isinstance(verdict, Wait):
            return verdict.until
        if not verdict.incomplete and not study.ordered and self._is_lacking(study):
            return now + LACKING_PAUSE
        return None if self._complete(study, verdict, now) else now

    def _complete(self, seen: StudyRow, verdict: Complete, now: datetime) -> bool:
        """Freeze the manifest and make the jobs, in one transaction; False where the study moved meanwhile. Its images
        are read and routes decided before that: of many thousands this takes longer than others may wait to write."""
        with self._ledger.read() as connection:
            newest = arrivals.newest_instance(connection, seen.id)
            held = arrivals.instances_in_force(connection, seen.id)
        decided = self._decide(seen, held, is_incomplete=verdict.incomplete)
        with self._ledger.write() as connection:
            study = arrivals.find_gathering(connection, seen.id)
            if (
                study is None
                or study.last_at != seen.last_at
                or arrivals.newest_instance(connection, seen.id) != newest
                or self._is_pending(study.study_uid)
            ):
                return False
            values = {
                "completed_at": now,
                "generation": study.generation + 1,
                "incomplete": verdict.incomplete,
                "ordered": False,
            }
            arrivals.change_study(connection, study, StudyEvent.COMPLETED, now, why=verdict.why, **values)
            study = arrivals.get_study(connection, seen.id)
            self._route(connection, study, decided, now)
        outcomes = {one.route: one.verdict.value for one, _ in decided or ()}
        log.info("study-complete", study=study.id, why=verdict.why, routes=outcomes)
        return True

    def _decide(
        self, study: StudyRow, held: Sequence[Held], *, is_incomplete: bool
    ) -> list[tuple[Decision, NewJob | None]] | None:
        """What each route says, and the job of one that takes the study; None where none may take it."""
        if self.rules.is_excluded(study):
            return None
        facts = [one.facts for one in held]
        sha256_of = {one.facts.sop_instance_uid: one.content_sha256 for one in held}
        stacks = split_into_stacks(facts)
        came = Arrival(study.peer, study.calling_ae, study.called_ae)
        names = routing.study_names(facts, stacks, came) if facts else {}
        requested = next((one.requested_priority for one in facts if one.requested_priority), None)
        decided: list[tuple[Decision, NewJob | None]] = []
        for route, rule in self.rules.routes:
            decision, new = routing.decide(rule, came, names, stacks), None
            if decision.verdict is Verdict.TAKEN:
                priority = priority_of(route.priority, requested)
                new = self._new_job(study, route, decision, sha256_of, priority, is_incomplete=is_incomplete)
            decided.append((decision, new))
        return decided

    def _route(
        self,
        connection: sa.Connection,
        study: StudyRow,
        decided: Sequence[tuple[Decision, NewJob | None]] | None,
        now: datetime,
    ) -> None:
        if decided is None:
            note(connection, now, "study-excluded", "gathering.exclude_patients names its patient", study_id=study.id)
        for decision, new in decided or ():
            made = None if new is None else self._start(connection, study, new, now)
            self._record(connection, study, decision, made, now)

    def _new_job(
        self,
        study: StudyRow,
        route: Route,
        decision: Decision,
        sha256_of: Mapping[InstanceUID, str],
        priority: Priority,
        *,
        is_incomplete: bool,
    ) -> NewJob:
        model = self.rules.models[route.model]
        digest = input_digest(decision.chosen, sha256_of)
        key = job_key(
            study_uid=study.study_uid,
            route=route.name,
            input_digest=digest,
            model_digest=model.digest,
            settings_digest=self.rules.settings_digest,
        )
        return NewJob(
            id=job_id(key),
            key=key,
            study_id=study.id,
            route=route.name,
            model=model.name,
            model_version=model.version,
            model_digest=model.digest,
            input_digest=digest,
            inputs=dict(decision.chosen),
            destinations=route.destinations,
            incomplete=is_incomplete,
            priority=priority,
        )

    def _start(self, connection: sa.Connection, study: StudyRow, new: NewJob, now: datetime) -> str:
        """Make the job and enqueue it, superseding the route's older ones; the same inputs keep their result."""
        job = work.add_job(connection, new, now)
        if job is None:
            note(connection, now, "job-unchanged", f"route {new.route}", study_id=study.id, job_id=new.id)
            return new.id
        for older in work.jobs_of(connection, study.id, new.route):
            if older.id != new.id:
                message = f"superseded by {new.id}"
                work.end_job(connection, older, JobEvent.SUPERSEDED, now, message=message)
        self._queue.stage(connection, work.ticket_of(job), priority=job.priority)
        return new.id

    def _record(
        self, connection: sa.Connection, study: StudyRow, decision: Decision, made: str | None, now: datetime
    ) -> None:
        connection.execute(
            schema.decision.insert().values(
                study_id=study.id,
                generation=study.generation,
                route=decision.route,
                verdict=decision.verdict.value,
                why=decision.why,
                job_id=made,
                at=now,
            )
        )
        note(connection, now, f"route-{decision.verdict.value}", f"{decision.route}: {decision.why}", study_id=study.id)
