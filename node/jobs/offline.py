"""A model run on a folder: the same stages as the node's, without ledger, queue or network."""

import json
import os
import shutil
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from ai.contract import Model
from ai.device import Device
from ai.errors import ModelFailed, ModelRefused, OutOfMemory
from ai.findings import Findings
from ai.volume import Inputs
from node.core.provenance import input_digest, job_key, settings_digest
from node.core.said import said_by
from node.core.study import SourceGrid, Stack
from node.errors import IsocenterError, ReasonCode, Refused
from node.jobs.folder import Folder
from node.jobs.inference import Inference
from node.jobs.inputs import judged, read_inputs
from node.jobs.quality import remarks
from node.jobs.watchdog import Watchdog
from node.results.encode import MeasurementRow, RunIdentity, draw_overlay, encode, measurement_rows
from node.state.digests import digests_of
from node.state.part10 import opened

SERIES_BASE = 9001


@dataclass
class Report:
    """What report.json says: done, refused or failed, why, and how long each stage took.

    other_files: how many of the folder's were no DICOM instances or could not be read.
    """

    model: str
    outcome: str = "done"
    reason_code: str | None = None
    reason: str | None = None
    series_uid: str | None = None
    other_files: int = 0
    quality: dict[str, dict[str, float]] = field(default_factory=dict)
    stages: dict[str, float] = field(default_factory=dict)

    def write(self, folder: Path) -> None:
        (folder / "report.json").write_text(json.dumps(vars(self), indent=1) + "\n")


@dataclass(frozen=True)
class Outcome:
    """The report, and what was measured where the model ran."""

    report: Report
    rows: tuple[MeasurementRow, ...] = ()
    summary: tuple[str, ...] = ()


def run_model(
    model: Model,
    folder: Folder,
    chosen: Mapping[str, Stack],
    out: Path,
    started_at: datetime,
    *,
    say: Callable[[str], None] = lambda _stage: None,
    too_late: Callable[[Report], None] = lambda _report: None,
) -> Outcome:
    """Run the model on the chosen stacks and write the result objects into `out`, which exists and is empty.

    A refusal or failure writes report.json alone. Raises nothing for these: the outcome says so. A model that takes
    longer than its card allows ends the process, with exit code 1, after the report was written and `too_late` called.
    """
    card = model.card
    report = Report(
        model=f"{card.name} {card.version}",
        series_uid=chosen[card.reference].series_uid,
        other_files=len(folder.others),
    )

    def end(timeout_s: float) -> None:
        late = f"the model took longer than the {timeout_s:.0f} s that its card allows"
        too_late(_ended(report, out, "failed", ReasonCode.TIMEOUT, late).report)

    try:
        inputs, grid, findings = _predict(model, folder, chosen, report, say, end)
        with _timed(report, "encode", say):
            _encode(model, folder, chosen, inputs, grid, findings, out, started_at)
            rows = tuple(measurement_rows(findings, card))
            (out / "measurements.json").write_text(json.dumps([vars(row) for row in rows], indent=1) + "\n")
            (out / "overlay.png").write_bytes(draw_overlay(findings, card, inputs.reference_volume))
    except Refused as refused:
        return _ended(report, out, "refused", refused.reason, said_by(refused))
    except ModelRefused as refused:
        return _ended(report, out, "refused", ReasonCode.MODEL_REFUSED, said_by(refused))
    except (OutOfMemory, MemoryError) as failed:
        return _ended(report, out, "failed", ReasonCode.OUT_OF_MEMORY, said_by(failed))
    except (IsocenterError, ModelFailed) as failed:
        return _ended(report, out, "failed", ReasonCode.MODEL_FAILED, said_by(failed))
    except (Exception, SystemExit) as failed:  # noqa: BLE001  the edge of a stage, as in the runner: models raise whatever they like
        return _ended(report, out, "failed", ReasonCode.MODEL_FAILED, f"{type(failed).__name__}: {_where(failed)}")
    report.write(out)
    return Outcome(report, rows, findings.summary)


def _predict(
    model: Model,
    folder: Folder,
    chosen: Mapping[str, Stack],
    report: Report,
    say: Callable[[str], None],
    too_late: Callable[[float], None],
) -> tuple[Inputs, SourceGrid, Findings]:
    with _timed(report, "prepare", say):
        siblings = {
            name: [one for one in folder.stacks if one.series_uid == stack.series_uid] for name, stack in chosen.items()
        }
        inputs, grid = read_inputs(chosen, siblings, model.card, folder.paths, folder.study_uid)
        report.quality = {name: one.scores for name, one in judged(inputs, model.card).items()}
    with _timed(report, "infer", say):
        inference = Inference({model.card.name: model}, Device(threads=os.cpu_count() or 1))
        with (
            closing(inference),
            Watchdog(model.card.timeout_s, too_late, exit_code=1),
            inference.predicted(model.card.name, inputs) as found,
        ):
            findings = replace(found, summary=(*remarks(report.quality), *found.summary))
    return inputs, grid, findings


def _encode(
    model: Model,
    folder: Folder,
    chosen: Mapping[str, Stack],
    inputs: Inputs,
    grid: SourceGrid,
    findings: Findings,
    out: Path,
    started_at: datetime,
) -> None:
    card = model.card
    used = {frame.sop_instance_uid for stack in chosen.values() for frame in stack.frames}
    key = job_key(
        study_uid=folder.study_uid,
        route=card.name,
        input_digest=input_digest(chosen, {uid: _content(folder.paths[uid]) for uid in used}),
        model_digest=card.digest,
        settings_digest=settings_digest(series_base=SERIES_BASE),
    )
    run = RunIdentity(job_key=key, run=1, started_at=started_at)
    encode(findings, card, grid, folder.paths, run, out, volume=inputs.reference_volume, route=card.name)


def _content(path: Path) -> str:
    """The digest that the ledger keeps of an instance's content."""
    with opened(path, []) as file:
        digests = digests_of(file)
    return digests.pixels or digests.data_set


def _ended(report: Report, out: Path, outcome: str, reason: ReasonCode, message: str) -> Outcome:
    """Of a set that is not whole nothing is a result: the report lies there alone."""
    report.outcome, report.reason_code, report.reason = outcome, reason.value, message
    _empty(out)
    report.write(out)
    return Outcome(report)


def _empty(folder: Path) -> None:
    for one in folder.iterdir():
        if one.is_dir():
            shutil.rmtree(one)
        else:
            one.unlink()


def _where(error: BaseException) -> str:
    """What an error says, and where it was raised: whoever wrote the model looks there first."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f"{said_by(error)} ({Path(last.filename).name}, line {last.lineno})"


@contextmanager
def _timed(report: Report, stage: str, say: Callable[[str], None]) -> Iterator[None]:
    say(stage)
    start = time.monotonic()
    try:
        yield
    finally:
        report.stages[stage] = round(time.monotonic() - start, 3)
