"""Real chest radiographs, from their files to results: gate, decoding, model, encoding, as the node does it."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path

import numpy as np
import pydicom
import pytest

from ai.findings import Classification, Detection, Findings, Shape
from ai.volume import Inputs
from node.jobs.folder import read_folder
from node.jobs.offline import run_model
from node.rehearsal.modality import send_study
from node.rehearsal.running import running_node
from node.state import schema
from tests.conformance.test_result_objects import said
from tests.integration.test_journey import peers, wait_for
from tests.makers.cards import dense_card
from tests.makers.models import Told
from tests.makers.orthanc import Orthanc, running_orthanc
from tests.makers.series import MASS, mg_image
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


@pytest.fixture(scope="module")
def mammogram(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orthanc]:
    """An archive that sent a MONOCHROME1 mammogram to a running node, and has got back what that gave."""
    folder = tmp_path_factory.mktemp("mammogram")
    dense_card(folder / "node" / "config" / "models")
    route = '[[route]]\nname = "dense"\nmodel = "dense"\ndestinations = ["pacs"]\n'
    with (
        running_orthanc(folder / "pacs") as pacs,
        running_node(
            folder / "node", peers=peers(pacs), routes=route, settings={"gathering.quiet_s": "1"}
        ) as node,
    ):  # fmt: skip
        node.wait_until_ready()
        source = mg_image(folder / "source", photometric="MONOCHROME1")
        send_study([source], "127.0.0.1", node.port, "PACS", "ISOCENTER")
        wait_for(node, schema.delivery, "accepted")
        yield pacs


@pytest.mark.slow
@pytest.mark.real("orthanc", "dcmtk", "dicom3tools")
def test_a_mammogram_goes_through_a_node_and_back_into_the_archive(mammogram: Orthanc, tmp_path: Path) -> None:
    """Sound results without a segmentation, of the breast that was imaged, drawn where the mass is."""
    held = {one["SeriesDescription"]: mammogram.files(one["ID"])[0] for one in mammogram.series()}
    found = {name.removeprefix("AI dense "): pydicom.dcmread(BytesIO(content)) for name, content in held.items()}
    for name, content in held.items():
        (tmp_path / f"{name}.dcm").write_bytes(content)
    state = found["GSPS"]
    line = np.reshape(state.GraphicAnnotationSequence[0].GraphicObjectSequence[0].GraphicData, (-1, 2))
    (top, bottom), (left, right) = ((part.start, part.stop) for part in MASS)
    faults = [line for path in tmp_path.glob("*.dcm") for line in said("dciodvfy", "-new", path) if "Error" in line]

    assert set(found) == {"SR", "text", "summary", "GSPS"}
    assert faults == []
    assert state.PresentationLUTShape == "INVERSE"
    assert (found["summary"].ImageLaterality, state.Laterality, state.BodyPartExamined) == ("L", "L", "BREAST")
    assert np.allclose([*line.min(axis=0), *line.max(axis=0)], [left, top, right, bottom], atol=0.5)


def _input(modality: str):
    return replace(FLAT_CARD.inputs[0], modalities=("MG", modality))
