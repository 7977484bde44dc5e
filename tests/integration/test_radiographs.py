"""Real chest radiographs, from their files to results: gate, decoding, model, encoding, as the node does it."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pydicom
import pytest

from ai.findings import Classification, Detection, Findings, Shape
from ai.volume import Inputs
from node.jobs.folder import read_folder
from node.jobs.offline import run_model
from tests.makers.models import Told
from tests.unit.results.kinds import FLAT_CARD

STARTED = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)


def brightest(inputs: Inputs) -> Findings:
    """A box round the brightest pixel, and how bright the middle is: both depend on which way up values are."""
    array = inputs.reference_volume.array
    row, column = (int(one) for one in np.unravel_index(int(np.argmax(array[0])), array.shape[1:]))
    box = np.array([[0, max(row - 9, 0), max(column - 9, 0)], [0, min(row + 9, 1023), min(column + 9, 1023)]], float)
    return Findings(
        classifications=(Classification("effusion", float(array[0, 512, 512]) / 255),),
        detections=(Detection("nodule", Shape.BOX, box, "ct", 0.7),),
    )


@pytest.mark.real("data")
@pytest.mark.parametrize(
    "name",
    ["1.2.276.0.7230010.3.1.4.8323329.6904.1517875201.850819.dcm", "Fake_MONOHR1.dcm", "test1.dcm", "test4.dcm"],
)
def test_a_real_radiograph_gives_report_summary_and_presentation_state(data: Path, name: str, tmp_path: Path) -> None:
    """CR and DX, MONOCHROME1 and 2, calibrated and not; no segmentation, no overlay of a volume."""
    source = pydicom.dcmread(data / "cxr" / name, stop_before_pixels=True)
    card = replace(FLAT_CARD, segments=(), measurements=(), maps=(), inputs=(_input(source.Modality),))
    folder = read_folder(data / "cxr" / name)
    stack = folder.stacks[0]

    outcome = run_model(Told(card, brightest), folder, {"ct": stack}, tmp_path, STARTED)

    assert outcome.report.outcome == "done", outcome.report.reason
    written = {path.stem for path in tmp_path.glob("*.dcm")}
    assert written == {"sr", "text", "gsps-0001"}
    state = pydicom.dcmread(tmp_path / "gsps-0001.dcm")
    assert (state.PresentationLUTShape == "INVERSE") is (source.PhotometricInterpretation == "MONOCHROME1")
    assert json.loads((tmp_path / "report.json").read_text())["outcome"] == "done"


def _input(modality: str):
    return replace(FLAT_CARD.inputs[0], modalities=("MG", modality))
