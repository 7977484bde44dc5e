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

Say = Callable[[str], None]

SEGMENTS, MANY, MEASUREMENTS = 10, 104, 60
MOST_S, MOST_MB, MOST_REPORT_S = 2.5, 1200.0, 0.3
"""What the design asks of 300 slices of 512 x 512 with ten segments over a third of the voxels, and of a report."""


def run_encode(folder: Path, rounds: int, say: Say) -> list[Case]:
    """Every case in turn. Raises BenchFailed where an encoder does not do its work."""
    source = folder / "source"
    say(f"making {SCAN[0]} slices")
    make_source(source)
    cases = _segmentations(folder, source, SEGMENTS, rounds, say)
    say(f"{MANY} segments")
    many = _ours(folder, source, MANY, 1)
    cases += [
        _alone(f"{MANY} segments: encode, check, save", "s", float("inf"), [one["seconds"] for one in many]),
        _alone(f"{MANY} segments: file", "MB", float("inf"), [one["file_mb"] for one in many]),
    ]
    say(f"a report of {MEASUREMENTS} measurements")
    reports = [_once(source, folder / f"report-{number}", 0) for number in range(rounds)]
    cases.append(
        _alone(f"report of {MEASUREMENTS} measurements", "s", MOST_REPORT_S, [one["seconds"] for one in reports])
    )
    return cases


def _segmentations(folder: Path, source: Path, count: int, rounds: int, say: Say) -> list[Case]:
    name = f"{count} segments over a third of {' x '.join(map(str, SCAN))}"
    dcmqi = shutil.which("itkimage2segimage") or str(Path(sys.executable).parent / "itkimage2segimage")
    ours, theirs = [], []
    for number in range(rounds):
        say(f"{name}: round {number + 1} of {rounds}")
        ours += _ours(folder, source, count, 1)
        if Path(dcmqi).exists():
            theirs.append(_theirs(dcmqi, folder, source, count))
    times = [one["seconds"] for one in ours]
    side = Side("isocenter", __version__, tuple(times))
    beside = Side("dcmqi itkimage2segimage", version("dcmqi"), tuple(theirs)) if theirs else None
    skipped = "" if beside else "dcmqi is not installed"
    return [
        Case(f"{name}, beside dcmqi", "s", 1.0, side if beside else None, beside, skipped=skipped),
        _alone(f"{name}: encode, check, save", "s", MOST_S, times),
        _alone(f"{name}: peak memory", "MB", MOST_MB, [one["peak_mb"] for one in ours]),
        _alone(f"{name}: file", "MB", float("inf"), [one["file_mb"] for one in ours]),
    ]


def _alone(name: str, unit: str, most: float, runs: Sequence[float]) -> Case:
    return Case(name, unit, most, Side("isocenter", __version__, tuple(runs)))


def _ours(folder: Path, source: Path, count: int, rounds: int) -> list[dict[str, float]]:
    labels = folder / f"labels-{count}.npy"
    if not labels.exists():
        np.save(labels, make_labels(count))
    found = []
    for _ in range(rounds):
        out = folder / f"ours-{time.monotonic_ns()}"
        found.append(_once(source, out, count, labels))
        shutil.rmtree(out)
    return found


def _once(source: Path, out: Path, count: int, labels: Path | None = None) -> dict[str, float]:
    """A process of its own, so that each starts with nothing in memory."""
    out.mkdir()
    command = [sys.executable, "-m", "node.bench.encode_once", str(source), str(out), str(count), str(labels or "")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BenchFailed(f"encoding {count} segments failed: {done.stderr.strip()[-400:]}")
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
