"""Judges what came back of the phantom: read from the objects themselves, compared with the analytic truth."""

import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import highdicom as hd
import numpy as np
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.uid import BasicTextSRStorage, ComprehensiveSRStorage, SecondaryCaptureImageStorage, SegmentationStorage
from rich.table import Table

from ai.findings import Findings, Segment
from ai.registry import find_model
from ai.volume import Volume
from node.jobs.folder import read_folder
from node.jobs.reading import read_volume
from node.rehearsal.truth import Mask, Truth
from node.results.encode import MeasurementRow, draw_overlay

MODEL = "lung-ct"
DICE_LEAST = {"right-lung": 0.97, "left-lung": 0.97, "low-attenuation": 0.85}
VOLUME_PERCENT = {"right-lung": 2.0, "left-lung": 2.0, "low-attenuation": 15.0}
"""A scan of finite resolution blurs the edge of small regions: a ninth of their volume rises above -950 HU before
any model sees it."""
LAA_POINTS = 1.5
"""How far a share of low attenuation may be from the truth, in percentage points."""
DENSITY_HU = 15.0
SUMMARY_LEAST = 8
"""A page of numbers, six key slices, and a page about the model."""


@dataclass(frozen=True)
class Compared:
    """One value beside its truth."""

    segment: str
    name: str
    value: float
    truth: float
    unit: str
    ok: bool


@dataclass(frozen=True)
class Verdict:
    """What came back: objects by kind, values beside the truth, and what is wrong."""

    objects: dict[str, int]
    compared: tuple[Compared, ...]
    rows: tuple[MeasurementRow, ...]
    faults: tuple[str, ...]
    findings: Findings
    volume: Volume | None
    series_uid: str

    @property
    def ok(self) -> bool:
        return not self.faults

    def table(self) -> Table:
        """Values beside their truth, for a terminal."""
        table = Table(title="read back from the PACS", box=None, title_justify="left", header_style="bold")
        for name in ("segment", "value", "measured", "truth", "unit", ""):
            table.add_column(name, justify="right" if name in ("measured", "truth") else "left")
        for one in self.compared:
            mark = "[green]ok[/green]" if one.ok else "[red]off[/red]"
            table.add_row(one.segment, one.name, f"{one.value:.2f}", f"{one.truth:.2f}", one.unit, mark)
        return table


def judge(received: Sequence[Path], sources: Sequence[Path], truth: Truth) -> Verdict:
    """Read every object that came back and compare it with the truth."""
    kinds = {
        SegmentationStorage: "seg",
        ComprehensiveSRStorage: "sr",
        BasicTextSRStorage: "text",
        SecondaryCaptureImageStorage: "summary",
    }
    found: dict[str, list[Dataset]] = {kind: [] for kind in kinds.values()}
    for path in received:
        one = dcmread(path)
        found[kinds[one.SOPClassUID]].append(one)
    objects = {kind: len(datasets) for kind, datasets in found.items()}
    faults = [f"{kind}: {count} came back" for kind, count in objects.items() if kind != "summary" and count != 1]
    if objects["summary"] < SUMMARY_LEAST:
        faults.append(f"summary: {objects['summary']} pages came back, {SUMMARY_LEAST} were expected")
    if faults:
        return Verdict(objects, (), (), tuple(faults), Findings(), None, "")
    folder = read_folder(sources[0].parent)
    volume, grid = read_volume(folder.stacks[0], folder.paths, folder.study_uid)
    masks = read_masks(found["seg"][0], volume)
    compared = [*_compare_masks(masks, truth, volume), *_compare_numbers(found["sr"][0], truth)]
    faults += [
        f"{one.segment}: {one.name} is {one.value:.2f}, the truth is {one.truth:.2f}" for one in compared if not one.ok
    ]
    findings = Findings(segments=tuple(Segment(key, mask, "ct") for key, mask in masks.items()))
    rows = tuple(read_numbers(found["sr"][0]))
    return Verdict(objects, tuple(compared), rows, tuple(faults), findings, volume, grid.series_uid)


def read_masks(segmentation: Dataset, volume: Volume) -> dict[str, Mask]:
    """Masks by segment key on the volume's grid, placed by the segmentation's own geometry alone.

    Raises ValueError where a frame does not lie on a slice of the volume.
    """
    assert volume.affine_lps is not None  # noqa: S101  the phantom has one
    seg = hd.seg.Segmentation.from_dataset(segmentation)
    card = find_model(MODEL).card
    keys = {one.label: one.key for one in card.segments}
    inverse = np.linalg.inv(volume.affine_lps)
    masks = {}
    for number in seg.segment_numbers:
        label = str(seg.get_segment_description(number).segment_label)
        placed = seg.get_volume(segment_numbers=[number], rescale_fractional=False)
        shift = inverse @ placed.affine
        array = placed.array[..., 0].astype(np.bool_)
        mask = np.zeros(volume.array.shape, np.bool_)
        at = np.argwhere(array)
        where = at @ shift[:3, :3].T + shift[:3, 3]
        nearest = np.rint(where).astype(int)
        if np.abs(where - nearest).max() > 0.01:
            raise ValueError(f"segment {label!r} does not lie on the slices it was made from")
        mask[tuple(nearest.T)] = True
        masks[keys[label]] = mask
    return masks


def read_numbers(report: Dataset) -> list[MeasurementRow]:
    """Every number of a measurement report, in the order of its tree."""
    rows: list[MeasurementRow] = []

    def walk(item: Dataset, segment: str) -> None:
        here = segment
        for child in item.get("ContentSequence", []):
            if child.ValueType == "TEXT" and child.ConceptNameCodeSequence[0].CodeValue == "112039":
                here = str(child.TextValue)
        for child in item.get("ContentSequence", []):
            if child.ValueType == "NUM":
                name, measured = child.ConceptNameCodeSequence[0], child.MeasuredValueSequence[0]
                rows.append(
                    MeasurementRow(
                        segment=here,
                        name=str(name.CodeMeaning),
                        code=str(name.CodeValue),
                        scheme=str(name.CodingSchemeDesignator),
                        value=float(measured.NumericValue),
                        unit=str(measured.MeasurementUnitsCodeSequence[0].CodeValue),
                    )
                )
            walk(child, here)

    walk(report, "study")
    return rows


def _compare_masks(masks: dict[str, Mask], truth: Truth, volume: Volume) -> list[Compared]:
    compared = []
    for key, region in truth.regions.items():
        mask = masks.get(key, np.zeros_like(region.mask))
        count, expected = int(np.count_nonzero(mask)), int(np.count_nonzero(region.mask))
        overlap = 2.0 * int(np.count_nonzero(mask & region.mask)) / (count + expected)
        measured = count * volume.voxel_ml
        off_percent = 100.0 * abs(measured - region.volume_ml) / region.volume_ml
        compared.append(Compared(key, "Dice", overlap, 1.0, "", overlap >= DICE_LEAST[key]))
        compared.append(Compared(key, "volume", measured, region.volume_ml, "mL", off_percent <= VOLUME_PERCENT[key]))
    return compared


def _compare_numbers(report: Dataset, truth: Truth) -> list[Compared]:
    by_name = {(row.segment, row.code): row for row in read_numbers(report)}
    compared = []
    for key, expected in truth.low_percent.items():
        row = by_name[key, "LAA950P"]
        near = abs(row.value - expected) <= LAA_POINTS
        compared.append(Compared(key, "share below -950 HU", row.value, expected, "%", near))
    for key, expected in truth.mean_hu.items():
        row = by_name[key, codes.DCM.AttenuationCoefficient.value]
        near = abs(row.value - expected) <= DENSITY_HU
        compared.append(Compared(key, "mean density", row.value, expected, "HU", near))
    return compared


def write_report(out: Path, verdict: Verdict, stages: dict[str, float], received: Sequence[Path]) -> None:
    """Leave everything in `out` under the names others depend on (design section 8)."""
    (out / "summary").mkdir(exist_ok=True)
    for path in received:
        one = dcmread(path, stop_before_pixels=True)
        if one.SOPClassUID == SecondaryCaptureImageStorage:
            shutil.copy(path, out / "summary" / f"{int(one.InstanceNumber):04d}.dcm")
        else:
            names = {SegmentationStorage: "seg.dcm", ComprehensiveSRStorage: "sr.dcm", BasicTextSRStorage: "text.dcm"}
            shutil.copy(path, out / names[one.SOPClassUID])
    card = find_model(MODEL).card
    if verdict.volume is not None:
        (out / "overlay.png").write_bytes(draw_overlay(verdict.findings, card, verdict.volume))
    measurements = [asdict(row) for row in verdict.rows]
    report = {
        "outcome": "done" if verdict.ok else "failed",
        "reason_code": None,
        "reason": "; ".join(verdict.faults) or None,
        "model": f"{card.name} {card.version}",
        "series_uid": verdict.series_uid,
        "stages": {name: round(seconds, 3) for name, seconds in stages.items()},
    }
    told = {
        "stages": report["stages"],
        "objects": verdict.objects,
        "measurements": measurements,
        "truth": [asdict(one) for one in verdict.compared],
        "ok": verdict.ok,
    }
    for name, content in (("measurements", measurements), ("report", report), ("demo", told)):
        (out / f"{name}.json").write_text(json.dumps(content, indent=1) + "\n")
