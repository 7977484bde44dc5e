"""The stage between prepare and encode: infer predicts. It reads no DICOM and writes none."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from datetime import UTC, datetime

from ai.contract import Model
from ai.exchange import load_inputs, save_findings
from ai.volume import Inputs
from node.core.job import Stage
from node.jobs.catalogue import card_of
from node.jobs.inference import Inference
from node.jobs.printing import begin_job
from node.jobs.runner import Assignment, StageWork


class Predicting:
    """What a model worker does, as the runner calls it."""

    def __init__(self, models: Mapping[str, Model], inference: Inference) -> None:
        self._models, self._inference = models, inference

    def of_model(self) -> dict[Stage, StageWork]:
        """What the runner does by it."""
        return {Stage.INFER: StageWork(self._infer, lambda job: card_of(self._models, job.model).timeout_s)}

    def _infer(self, assignment: Assignment) -> None:
        inputs = load_inputs(assignment.volume())
        now = datetime.now(UTC).isoformat(timespec="seconds")
        begin_job(f"{now} job {assignment.job.id}, model {assignment.job.model}")
        # What a model sets for its thread (how numbers are rounded, in which precision torch computes) ends with it.
        with ThreadPoolExecutor(1, "predicting") as thread:
            thread.submit(copy_context().run, self._predict, assignment, inputs).result()

    def _predict(self, assignment: Assignment, inputs: Inputs) -> None:
        with self._inference.predicted(assignment.job.model, inputs, assignment.waiting) as findings:
            save_findings(findings, assignment.folder)
