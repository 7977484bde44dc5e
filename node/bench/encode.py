"""How long encoding takes and what it needs, beside dcmqi's encoder on the same masks in the same minutes."""

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path

import numpy as np
import SimpleITK as sitk  # noqa: N813  its own name for itself

from node import __version__
from node.bench.encode_once import SCAN, SPACING_MM, card_of, make_labels, make_source
from node.bench.figures import Case, Side
from node.bench.load import BenchFailed
from node.results.profile import SegmentationType

Say = Callable[[str], None]

SEGMENTS, MANY, MEASUREMENTS = 10, 104, 60
MOST_S, MOST_MB, MOST_REPORT_S = 2.5, 1200.0, 0.3
"""What the design asks of 300 slices of 512 x 512 with ten segments over a third of the voxels, and of a report."""


def run_encode(folder: Path, rounds: int, say: Say) -> list[Case]:
    """Every case in turn. Raises BenchFailed where an encoder does not do its work."""
    source = folder / "source"
    say(f"making {SCAN[0]} slices")
    make_source(source)
    cases = _beside_dcmqi(folder, source, rounds, say)
    for form in SegmentationType:
        cases += _many(folder, source, form, rounds, say)
    reports = []
    for number in range(rounds):
        say(f"a report of {MEASUREMENTS} measurements: round {number + 1} of {rounds}")
        reports.append(_once(source, folder / "ours", 0)["seconds"])
    cases.append(_alone(f"report of {MEASUREMENTS} measurements: make, save, check", "s", MOST_REPORT_S, reports))
    return cases


def _beside_dcmqi(folder: Path, source: Path, rounds: int, say: Say) -> list[Case]:
    """Beside dcmqi both begin with the files of source and label map; alone, ours begins with masks in memory."""
    name = f"{SEGMENTS} segments over a third of {' x '.join(map(str, SCAN))}"
    dcmqi = shutil.which("itkimage2segimage") or str(Path(sys.executable).parent / "itkimage2segimage")
    is_there = Path(dcmqi).exists()
    ours, theirs = [], []
    for number in range(rounds):
        say(f"{name}: round {number + 1} of {rounds}")
        ours.append(_segmentation(folder, source, SEGMENTS, SegmentationType.BINARY))
        if is_there:
            theirs.append(_theirs(dcmqi, folder, source, SEGMENTS))
    side = Side("isocenter", __version__, tuple(one["whole_seconds"] for one in ours))
    beside = Side("dcmqi itkimage2segimage", version("dcmqi"), tuple(theirs)) if is_there else None
    skipped = "" if beside else "dcmqi is not installed"
    return [
        Case(f"{name}: files to file", "s", 1.0, side if beside else None, beside, skipped=skipped),
        *_figures(name, ours, MOST_S, MOST_MB),
    ]


def _many(folder: Path, source: Path, form: SegmentationType, rounds: int, say: Say) -> list[Case]:
    """As many segments as a whole body's model finds: what they take is stated, and nothing is asked of it."""
    name = f"{MANY} segments, {form.value}"
    runs = []
    for number in range(rounds):
        say(f"{name}: round {number + 1} of {rounds}")
        runs.append(_segmentation(folder, source, MANY, form))
    return _figures(name, runs, float("inf"), float("inf"))


def _figures(name: str, runs: Sequence[dict[str, float]], most_s: float, most_mb: float) -> list[Case]:
    return [
        _alone(f"{name}: encode, check, save", "s", most_s, [one["seconds"] for one in runs]),
        _alone(f"{name}: peak memory", "MB", most_mb, [one["peak_mb"] for one in runs]),
        _alone(f"{name}: file", "MB", float("inf"), [one["file_mb"] for one in runs]),
    ]


def _alone(name: str, unit: str, most: float, runs: Sequence[float]) -> Case:
    return Case(name, unit, most, Side("isocenter", __version__, tuple(runs)))


def _segmentation(folder: Path, source: Path, count: int, form: SegmentationType) -> dict[str, float]:
    labels = folder / f"labels-{count}.npy"
    if not labels.exists():
        np.save(labels, make_labels(count))
    return _once(source, folder / "ours", count, str(labels), form.value)


def _once(source: Path, out: Path, count: int, *more: str) -> dict[str, float]:
    """A process of its own, so that each starts with nothing in memory but what a worker has loaded while idle."""
    out.mkdir()
    command = [sys.executable, "-m", "node.bench.encode_once", str(source), str(out), str(count), *more]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BenchFailed(f"encoding {count} segments failed: {done.stderr.strip()[-400:]}")
    shutil.rmtree(out)
    told: dict[str, float] = json.loads(done.stdout)
    return told


def _theirs(program: str, folder: Path, source: Path, count: int) -> float:
    """Seconds dcmqi needs from the same label map, read from a file as ours is, to a file of its own."""
    image, meta, out = folder / f"labels-{count}.nrrd", folder / f"meta-{count}.json", folder / "theirs.dcm"
    if not image.exists():
        made = sitk.GetImageFromArray(np.load(folder / f"labels-{count}.npy"))
        made.SetSpacing((SPACING_MM[2], SPACING_MM[1], SPACING_MM[0]))  # type: ignore[no-untyped-call]
        sitk.WriteImage(made, str(image))
        meta.write_text(json.dumps(_meta(count)))
    command = [
        *(program, "--inputImageList", str(image), "--inputDICOMDirectory", str(source)),
        *("--inputMetadata", str(meta), "--outputDICOM", str(out), "--skip", "1"),
    ]
    start = time.monotonic()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    taken = time.monotonic() - start
    if done.returncode or not out.exists():
        raise BenchFailed(f"itkimage2segimage failed: {(done.stdout + done.stderr).strip()[-400:]}")
    out.unlink()
    return taken


def _meta(count: int) -> dict[str, object]:
    """The same segments, as dcmqi is told of them."""
    code = {"CodeValue": "39607008", "CodingSchemeDesignator": "SCT", "CodeMeaning": "Lung"}
    category = {"CodeValue": "91723000", "CodingSchemeDesignator": "SCT", "CodeMeaning": "Anatomical Structure"}
    segments = [
        {
            "labelID": number,
            "SegmentLabel": one.label,
            "SegmentDescription": one.label,
            "SegmentAlgorithmType": "AUTOMATIC",
            "SegmentAlgorithmName": "bench",
            "SegmentedPropertyCategoryCodeSequence": category,
            "SegmentedPropertyTypeCodeSequence": code,
            "recommendedDisplayRGBValue": list(one.colour_rgb),
        }
        for number, one in enumerate(card_of(count).segments, 1)
    ]
    return {
        "ContentCreatorName": "BENCH",
        "ClinicalTrialSeriesID": "1",
        "ClinicalTrialTimePointID": "1",
        "SeriesDescription": "BENCH",
        "SeriesNumber": "300",
        "InstanceNumber": "1",
        "BodyPartExamined": "CHEST",
        "segmentAttributes": [segments],
    }
