"""The model hippocampus on real cut-outs: as NIfTI, as DICOM through `isocenter run`, and by MONAI from its configs."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pydicom
import pytest
import torch
from monai.bundle.config_parser import ConfigParser
from pydicom.dataset import Dataset
from pydicom.uid import MRImageStorage

from ai.device import Device
from ai.findings import Mask
from ai.preparation.pipeline import prepare
from ai.preparation.restoring import restore_labels
from ai.registry import find_model
from ai.training.cases import Case, choose, find_cases, read_case
from ai.training.evaluation import evaluate
from ai.volume import Inputs, Volume
from tests.makers.series import base_image, decimal, write

pytestmark = [pytest.mark.real("data"), pytest.mark.slow]

FOLDER = Path(__file__).parents[2] / "ai" / "models" / "hippocampus"
FLOOR = {"Anterior hippocampus": 0.88, "Posterior hippocampus": 0.87}


@pytest.fixture(scope="module")
def held_out(data: Path) -> tuple[Case, ...]:
    return choose(find_cases(data / "mr-hippocampus"), 13, (0, 4, 8))


def isocenter(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "node", *words], capture_output=True, text=True, check=False)


def as_dicom(case: Case, folder: Path, grow: int = 1) -> Volume:
    """An axial MR series of the cut-out: the same values in the same place. grow: times as many rows and columns."""
    volume, _ = read_case(case, "MR")
    assert volume.affine_lps is not None
    images = []
    for number, plane in enumerate(np.kron(volume.array, np.ones((1, grow, grow)))):
        image = base_image(MRImageStorage, "MR", *plane.shape, "study", "t1", number)
        image.ImageType, image.BodyPartExamined = ["ORIGINAL", "PRIMARY", "M"], "HEAD"
        image.ScanningSequence, image.SequenceVariant, image.ScanOptions = "GR", "MP", ""
        image.MRAcquisitionType, image.EchoTime, image.RepetitionTime, image.EchoTrainLength = "3D", "4", "9", 1
        image.BitsStored, image.HighBit, image.PixelRepresentation = 16, 15, 0
        scale = 60000 / volume.array.max()
        image.PixelData = np.round(plane * scale).astype(np.uint16).tobytes()
        place(image, volume, number)
        images.append(image)
    write(folder, images)
    return volume


def place(image: Dataset, volume: Volume, number: int) -> None:
    affine = volume.affine_lps
    assert affine is not None
    image.ImageOrientationPatient = [decimal(one) for one in (*affine[:3, 2], *affine[:3, 1])]
    image.ImagePositionPatient = [decimal(one) for one in affine[:3, 3] + number * affine[:3, 0]]
    image.PixelSpacing, image.SliceThickness = ["1", "1"], "1"


def dice(one: Mask, other: Mask) -> float:
    return float(2 * np.count_nonzero(one & other) / (np.count_nonzero(one) + np.count_nonzero(other)))


def segments_of(seg: Path, volume: Volume) -> list[Mask]:
    """The segments of a SEG as masks on the volume, each frame put where its position says."""
    read = pydicom.dcmread(seg)
    masks = [np.zeros(volume.array.shape, np.bool_) for _ in read.SegmentSequence]
    assert volume.affine_lps is not None
    frames = read.pixel_array.reshape(-1, read.Rows, read.Columns)
    for frame, about in zip(frames, read.PerFrameFunctionalGroupsSequence, strict=True):
        position = [*map(float, about.PlanePositionSequence[0].ImagePositionPatient), 1.0]
        slice_, row, column = np.round(np.linalg.inv(volume.affine_lps) @ position)[:3].astype(int)
        assert (row, column) == (0, 0)
        masks[about.SegmentIdentificationSequence[0].ReferencedSegmentNumber - 1][slice_] |= frame > 0
    return masks


def test_cases_that_were_held_out_reach_the_floor(held_out: tuple[Case, ...]) -> None:
    """The first twelve; `isocenter models evaluate` takes all sixty."""
    found = evaluate(find_model("hippocampus"), held_out[:12], Device())

    assert {one.label: one.dice > FLOOR[one.label] - 0.02 for one in found.scores} == dict.fromkeys(FLOOR, True)


def test_the_evaluation_is_printed_and_given_as_json(data: Path) -> None:
    words = ("models", "evaluate", "hippocampus", str(data / "mr-hippocampus"), "--every", "130", "--rests", "4")
    said, table = json.loads(isocenter(*words, "--json").stdout), isocenter(*words).stdout

    assert len(said["cases"]) == 2
    assert said["labels"][0]["label"] == "Anterior hippocampus"
    assert f"{said['labels'][0]['dice']:.3f}" in table


def test_a_dicom_series_gives_the_segments_that_the_evaluation_scores(
    held_out: tuple[Case, ...], tmp_path: Path
) -> None:
    case = held_out[0]
    volume = as_dicom(case, tmp_path / "study")
    _, labels = read_case(case, "MR")
    (score,) = evaluate(find_model("hippocampus"), [case], Device()).cases

    done = isocenter("run", "hippocampus", str(tmp_path / "study"), "--out", str(tmp_path / "out"))
    assert done.returncode == 0, done.stdout + done.stderr
    (seg,) = (file for file in (tmp_path / "out").rglob("*.dcm") if pydicom.dcmread(file).Modality == "SEG")
    found = segments_of(seg, volume)
    rows = json.loads((tmp_path / "out" / "measurements.json").read_text())

    assert [dice(one, labels == label) for label, one in enumerate(found, 1)] == pytest.approx(score.dice, abs=0.01)
    assert {(row["segment"], row["code"]): row["value"] for row in rows}["Anterior hippocampus", "YEKZ"] == found[
        0
    ].sum()


def test_a_field_of_view_it_was_not_trained_for_is_refused(held_out: tuple[Case, ...], tmp_path: Path) -> None:
    as_dicom(held_out[0], tmp_path / "study", grow=3)

    done = isocenter("run", "hippocampus", str(tmp_path / "study"), "--out", str(tmp_path / "out"))

    assert done.returncode == 3
    assert "80" in done.stdout


def test_monai_runs_its_configs_to_the_same_labels(held_out: tuple[Case, ...]) -> None:
    """The network and the windows that configs/inference.json builds, on the image as the card's chain prepares it."""
    model = find_model("hippocampus")
    volume, _ = read_case(held_out[0], "MR")
    inputs = Inputs({"mr": volume}, "mr")
    prepared = prepare(inputs, model.card.prepare)
    parser = ConfigParser()
    parser.read_config(FOLDER / "configs" / "inference.json")
    parser["bundle_root"] = str(FOLDER)
    network, windows, decide = (parser.get_parsed_content(one) for one in ("network", "inferer", "postprocessing"))

    with torch.inference_mode():
        said = decide(windows(torch.from_numpy(prepared.stacked())[None], network)[0])[0]
    with model.open(Device()) as predict:
        found = predict(inputs)

    for label, one in enumerate(found.segments, 1):
        assert np.array_equal(restore_labels(prepared, said.numpy() == label), one.mask)
