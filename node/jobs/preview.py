"""Pictures of a run for the operator: source slices with the findings drawn over, decoded once and kept for a while."""

import io
import json
import shutil
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ai.contract import Model, ModelCard
from ai.exchange import load_findings, load_slice
from ai.findings import Findings
from ai.masks import voxels_by_slice
from node.core.identity import InstanceUID, SeriesUID, StudyUID
from node.core.preview import CT_VIEWS, Drawn, Measured, Preview, View
from node.core.study import Stack
from node.errors import NotFound
from node.jobs.confined import run_confined
from node.jobs.reading import read_volume
from node.results.colouring import STOPS, coloured, heights_of
from node.results.outlined import detected_masks, outlines_of
from node.results.pictures import DETECTION_COLOUR, Window, draw_plane
from node.results.wording import UNIT_WORDS, measurement_rows
from node.state import arrivals, work
from node.state.ledger import Ledger
from node.state.rows import JobRow

KEPT = 6
"""So many volumes are kept decoded; the one that was looked at longest ago goes first."""
TIMEOUT_S = 120.0
BOX_PX = (768, 768)
VOLUME, TOLD = "volume.npy", "told.json"


class Previews:
    """What the window is handed. Pixels are decoded in a confined process, never in this one."""

    def __init__(self, ledger: Ledger, home: Path, models: Mapping[str, Model], *, decode_memory_mb: int) -> None:
        self._ledger, self._home, self._models = ledger, home, models
        self._folder, self._memory_mb = home / "run" / "preview", decode_memory_mb
        self._lock = threading.Lock()

    def open(self, job_id: str) -> Preview:
        """What there is to see of a job's present run. Raises NotFound where it has no findings or its images are
        gone, and what decoding raises."""
        job, findings = self._job(job_id)
        told = json.loads((self._decoded(job) / TOLD).read_text())
        card = self._models[job.model].card
        layers = _layers(findings, card, told["slices"])
        whole = sum((one.voxels for one in layers), np.zeros(told["slices"]))
        automatic = View("whole range", told["centre"], told["width"])
        return Preview(
            job_id=job.id,
            run=job.run,
            slice_count=told["slices"],
            start=int(np.argmax(whole)) if whole.any() else told["slices"] // 2,
            views=(*CT_VIEWS, automatic) if told["modality"] == "CT" else (automatic,),
            drawn=tuple(
                Drawn(one.label, one.colour_rgb, int(np.count_nonzero(one.voxels)))
                for one in layers
                if one.voxels.any()
            ),
            measured=tuple(
                Measured(row.segment, row.name, f"{row.value:g} {UNIT_WORDS.get(row.unit, row.unit)}".strip())
                for row in measurement_rows(findings, card)
            ),
            summary=findings.summary,
        )

    def picture(self, job_id: str, index: int, view: View | None, *, findings: bool) -> bytes:
        """One source slice as PNG, as it lies in its image; view None: the whole range. Raises as open does."""
        with self._ledger.read() as connection:
            job = work.get_job(connection, job_id)
            run = work.get_run(connection, job.id, job.run)
        folder = self._decoded(job)
        told = json.loads((folder / TOLD).read_text())
        if not 0 <= index < told["slices"]:
            raise NotFound(f"job {job.id} has slices 1 to {told['slices']}")
        card = self._models[job.model].card
        plane = np.load(folder / VOLUME, mmap_mode="r", allow_pickle=False)[index]
        centre, width = (view.centre, view.width) if view else (told["centre"], told["width"])
        spacing_mm, window = tuple(told["spacing_mm"]), Window(centre, width)
        if findings and run.findings is not None:
            found = load_slice(self._home / run.findings, index, card.reference)
            masks = [(found.masks[one.key], one.colour_rgb) for one in card.segments if one.key in found.masks]
            detected = detected_masks(found.detections, index, plane.shape)
            drawn = draw_plane(
                plane, spacing_mm, [*masks, *((mask, DETECTION_COLOUR) for mask in detected.values())], window, BOX_PX
            )
            for one in card.maps:
                if one.key in found.maps:
                    drawn = coloured(drawn, heights_of(found.maps[one.key], one))
        else:
            drawn = draw_plane(plane, spacing_mm, (), window, BOX_PX)
        into = io.BytesIO()
        drawn.save(into, "PNG", compress_level=1)
        return into.getvalue()

    def _job(self, job_id: str) -> tuple[JobRow, Findings]:
        with self._ledger.read() as connection:
            job = work.get_job(connection, job_id)
            run = work.get_run(connection, job.id, job.run)
        if run.findings is None or not (self._home / run.findings).exists():
            raise NotFound(
                f"job {job.id} has no findings here; it is {job.state.value}, or they were kept for their time"
            )
        if job.model not in self._models:
            raise NotFound(f"model {job.model} of job {job.id} is not installed any more")
        return job, load_findings(self._home / run.findings)

    def _decoded(self, job: JobRow) -> Path:
        """The folder with the decoded reference volume of a job's inputs; made where it is not there yet."""
        folder = self._folder / f"{job.id}-{job.input_digest[:16]}"
        with self._lock:
            if not (folder / TOLD).exists():
                self._decode(job, folder)
            folder.touch()
            for old in sorted(self._folder.iterdir(), key=lambda one: one.stat().st_mtime)[:-KEPT]:
                shutil.rmtree(old, ignore_errors=True)
        return folder

    def _decode(self, job: JobRow, folder: Path) -> None:
        with self._ledger.read() as connection:
            stack = work.inputs_of(connection, job.id)[self._models[job.model].card.reference]
            held = arrivals.instances_in_force(connection, job.study_id, [SeriesUID(stack.series_uid)])
            study_uid = StudyUID(arrivals.get_study(connection, job.study_id).study_uid)
        paths = {one.facts.sop_instance_uid: self._home / one.path for one in held}
        if not {frame.sop_instance_uid for frame in stack.frames} <= set(paths):
            raise NotFound(f"the images of job {job.id} are not here any more: they were kept for their time")
        aside = folder.with_suffix(".part")
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir(mode=0o700, parents=True)
        run_confined(decode_volume, (stack, paths, study_uid, aside), memory_mb=self._memory_mb, timeout_s=TIMEOUT_S)
        shutil.rmtree(folder, ignore_errors=True)
        aside.rename(folder)


@dataclass(frozen=True)
class Layer:
    """Something that is drawn. voxels: how many of it are on each slice."""

    label: str
    colour_rgb: tuple[int, int, int]
    voxels: npt.NDArray[np.float64]


def _layers(findings: Findings, card: ModelCard, slices: int) -> list[Layer]:
    """What a run's slices show, in the card's order; a map counts where it is above the low end of its colours."""
    layers = []
    for segment in card.segments:
        found = findings.segment(segment.key)
        if found is not None and len(found.mask) == slices:
            layers.append(Layer(segment.label, segment.colour_rgb, voxels_by_slice(found.mask).astype(np.float64)))
    for detection in card.detections:
        shown = np.zeros(slices)
        for one in findings.detections:
            for outline in outlines_of(one) if one.key == detection.key and one.grid == card.reference else ():
                if 0 <= outline.slice_index < slices:  # encoding refuses the others, and the run is looked at then
                    shown[outline.slice_index] += 1
        layers.append(Layer(detection.label, DETECTION_COLOUR, shown))
    for card_of_map in card.maps:
        for values in (one.values for one in findings.maps if one.key == card_of_map.key and len(one.values) == slices):
            above = np.count_nonzero(values > card_of_map.shown[0], axis=(1, 2)).astype(np.float64)
            highest = tuple(int(value) for value in STOPS[-1])
            layers.append(Layer(card_of_map.label, (highest[0], highest[1], highest[2]), above))
    return layers


def decode_volume(stack: Stack, paths: Mapping[InstanceUID, Path], study_uid: StudyUID, folder: Path) -> None:
    """Write a stack's volume, and what is to be known of it, into a folder. Raises node.errors.Refused."""
    volume, _ = read_volume(stack, paths, study_uid)
    np.save(folder / VOLUME, volume.array)
    step = max(1, volume.array.shape[0] // 16)
    low, high = np.percentile(volume.array[::step, ::2, ::2], (1.0, 99.5))
    spacing = (1.0, 1.0) if volume.spacing_mm is None else volume.spacing_mm[1:]
    told = {
        "slices": int(volume.array.shape[0]),
        "spacing_mm": list(spacing),
        "centre": float(low + high) / 2,
        "width": max(float(high - low), 1e-6),
        "modality": stack.modality,
    }
    (folder / TOLD).write_text(json.dumps(told))
