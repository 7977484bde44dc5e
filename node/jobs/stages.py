"""Two stages of a job: prepare reads and gates, encode makes result objects. Between them lies node.jobs.predicting."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import sqlalchemy as sa

from ai.contract import Model
from ai.exchange import load_findings, load_inputs
from node.core.forms import LABEL_MAP
from node.core.identity import InstanceUID, SeriesUID, StudyUID
from node.core.job import Stage
from node.core.stacks import split_into_stacks
from node.core.study import InstanceFacts, Stack
from node.errors import IsocenterError
from node.jobs.catalogue import card_of
from node.jobs.confined import run_confined
from node.jobs.inputs import GRID, GRID_FILE, prepare_inputs
from node.jobs.quality import asked_for, in_words, load_quality, remarks
from node.jobs.recorded import result_row
from node.jobs.renditions import predecessors_in, profiles_of
from node.jobs.runner import GONE, Assignment, StageWork
from node.results.encode import encode
from node.results.profile import Profile
from node.results.uids import RenditionKind, RunIdentity
from node.results.wording import is_negative, present_segments
from node.settings import Peer, Route
from node.state import arrivals, corrections, outbox, taken, work
from node.state.artefacts import discard
from node.state.ledger import Ledger, note
from node.state.queue import Queue
from node.state.rows import JobRow, ResultRow

RESULTS_FILE = "results.json"
CPU_STAGE_TIMEOUT_S = 600.0
READING_S, READING_S_PER_SLICE = 60.0, 0.25
INCOMPLETE = "The study may be incomplete: images were still arriving when it had to be analysed."


def reading_limit_s(inputs: Mapping[str, Stack]) -> float:
    """How long reading a job's images may take: a hundred times what it takes on a machine at rest."""
    return READING_S + READING_S_PER_SLICE * sum(stack.slice_count for stack in inputs.values())


class Stages:
    """What a CPU worker does, as the runner calls it."""

    def __init__(
        self,
        ledger: Ledger,
        queue: Queue,
        home: Path,
        models: Mapping[str, Model],
        *,
        decode_memory_mb: int,
        peers: Mapping[str, Peer] | None = None,
        routes: Mapping[str, Route] | None = None,
    ) -> None:
        self._ledger, self._queue, self._home = ledger, queue, home
        self._models = models
        self._decode_memory_mb = decode_memory_mb
        self._peers: Mapping[str, Peer] = {} if peers is None else peers
        self._routes: Mapping[str, Route] = {} if routes is None else routes

    def of_worker(self) -> dict[Stage, StageWork]:
        """What the runner does by it."""
        return {
            Stage.PREPARE: StageWork(
                self.prepare,
                lambda job: CPU_STAGE_TIMEOUT_S + reading_limit_s(self._inputs(job)),
                self._note_quality,
            ),
            Stage.ENCODE: StageWork(self._encode, lambda _job: CPU_STAGE_TIMEOUT_S, self._deliver, self._forget_volume),
        }

    def prepare(self, assignment: Assignment) -> None:
        """Read and gate a job's images. Raises Refused and ProcessEnded."""
        job, inputs = assignment.job, self._inputs(assignment.job)
        facts, paths, study_uid = self._sources(job, inputs.values())
        stacks = split_into_stacks(facts)
        siblings = {
            name: [one for one in stacks if one.series_uid == stack.series_uid] for name, stack in inputs.items()
        }
        # The chains are the model worker's; their steps are functions, which do not travel between processes.
        card = card_of(self._models, job.model)
        card = replace(card, prepare=(), finish=(), inputs=asked_for(card.inputs, self._routes.get(job.route)))
        run_confined(
            prepare_inputs,
            (inputs, siblings, card, paths, study_uid, assignment.folder),
            memory_mb=self._decode_memory_mb,
            timeout_s=reading_limit_s(inputs),
        )

    def _note_quality(self, connection: sa.Connection, assignment: Assignment, now: datetime) -> None:
        """What the images are worth belongs to the job's history, also when the volume is long gone."""
        job, quality = assignment.job, load_quality(assignment.folder)
        note(connection, now, "input-quality", in_words(quality), study_id=job.study_id, job_id=job.id)

    def _encode(self, assignment: Assignment) -> None:
        with self._ledger.read() as connection:
            takers = [one for one in assignment.job.destinations if taken.is_taken(connection, one, LABEL_MAP)]
        self.encode_as(profiles_of(assignment.job.destinations, self._peers, takers), assignment)

    def encode_as(self, profiles: Sequence[Profile], assignment: Assignment) -> None:
        """Encode a run's findings in each of these profiles. Raises IsocenterError."""
        job = assignment.job
        assert assignment.findings is not None  # noqa: S101
        prepared = assignment.volume()
        grid = GRID.validate_json((prepared / GRID_FILE).read_bytes())
        inputs = self._inputs(job).values()
        _, paths, _ = self._sources(job, [one for one in inputs if one.series_uid == grid.series_uid])
        findings = load_findings(assignment.findings)
        findings = replace(findings, summary=(*remarks(load_quality(prepared)), *findings.summary))
        if job.incomplete:
            findings = replace(findings, summary=(INCOMPLETE, *findings.summary))
        card = card_of(self._models, job.model)
        volume = load_inputs(prepared).reference_volume
        run = RunIdentity(job_key=job.key, run=job.run, started_at=assignment.started_at)
        with self._ledger.read() as connection:
            replaced = outbox.replaced_by(connection, job)
            registered = corrections.correction_of(connection, job.study_id)
        rows: list[ResultRow] = []
        left_out: list[str] = []
        for profile in profiles:
            folder = assignment.folder / profile.variant
            folder.mkdir(exist_ok=True)
            made = encode(
                findings,
                card,
                grid,
                paths,
                run,
                folder,
                volume=volume,
                profile=profile,
                route=job.route,
                predecessors=predecessors_in(profile, replaced),
                registered=registered,
            )
            for one in made:
                kind = profile.kind(one.kind.value)
                rows.append(result_row(one, job.id, job.run, self._home, kind=kind, position=len(rows)))
            is_wanted = RenditionKind.SEG in profile.renditions and grid.affine_lps is not None
            is_made = any(one.kind is RenditionKind.SEG for one in made)
            if is_wanted and not is_made and present_segments(findings, card):
                left_out.append(
                    f"larger than the {(profile.largest_seg_bytes or 0) / 1e6:g} MB that a destination takes"
                )
        content = {
            "negative": is_negative(findings, card),
            "objects": [vars(one) for one in rows],
            "left_out": left_out,
        }
        (assignment.folder / RESULTS_FILE).write_text(json.dumps(content))

    def _deliver(self, connection: sa.Connection, assignment: Assignment, now: datetime) -> None:
        """Adopted results become facts, and one delivery per destination becomes due, in the same transaction."""
        content = json.loads((assignment.folder / RESULTS_FILE).read_text())
        outbox.add_results(connection, [ResultRow(**one) for one in content["objects"]])
        outbox.drop_outdated(connection, assignment.job, now)
        for words in content["left_out"]:
            note(connection, now, "segmentation-left-out", words, job_id=assignment.job.id)
        for destination in assignment.job.destinations:
            peer = self._peers.get(destination)
            is_unwanted = content["negative"] and peer is not None and not peer.negatives
            # A finding that it holds from an earlier run may not stand there as if it were still true.
            if is_unwanted and not self._may_hold_earlier(connection, assignment.job, destination):
                note(connection, now, "negative-not-sent", destination, job_id=assignment.job.id)
                continue
            made = outbox.add_delivery(connection, assignment.job, destination, now)
            self._queue.delivery(
                connection, made.id, destination=destination, attempt=made.attempt, priority=assignment.job.priority
            )

    @staticmethod
    def _may_hold_earlier(connection: sa.Connection, job: JobRow, destination: str) -> bool:
        """Whether a destination took results that the job's present run replaces, or is just taking them."""
        held = outbox.held_of_earlier(connection, job, job.run, destination)
        return bool(held) or outbox.is_earlier_under_way(connection, job, destination)

    @staticmethod
    def _forget_volume(assignment: Assignment) -> None:
        """The prepared volume is large and can be made again from the spool."""
        if assignment.prepared is not None:
            discard(assignment.prepared)

    def _inputs(self, job: JobRow) -> dict[str, Stack]:
        with self._ledger.read() as connection:
            return work.inputs_of(connection, job.id)

    def _sources(
        self, job: JobRow, stacks: Collection[Stack]
    ) -> tuple[list[InstanceFacts], dict[InstanceUID, Path], StudyUID]:
        """Facts and files of the series of some of a job's inputs. Raises IsocenterError where an image of them is
        gone."""
        series = sorted({SeriesUID(one.series_uid) for one in stacks})
        with self._ledger.read() as connection:
            held = arrivals.instances_in_force(connection, job.study_id, series)
            study_uid = StudyUID(arrivals.get_study(connection, job.study_id).study_uid)
        facts = [one.facts for one in held]
        paths = {one.facts.sop_instance_uid: self._home / one.path for one in held}
        needed = {frame.sop_instance_uid for one in stacks for frame in one.frames}
        gone = sum(uid not in paths or not paths[uid].exists() for uid in needed)
        if gone:
            raise IsocenterError(f"{gone} of the {len(needed)} images of job {job.id} {GONE}")
        return facts, paths, study_uid
