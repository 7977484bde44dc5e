"""Result objects under the validators and readers of others: dicom3tools, PixelMed, DCMTK, dcmqi."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk  # noqa: N813  - its own name for itself
from PIL import Image

from ai.contract import Code, ModelCard
from ai.findings import Findings
from node.results.encode import Profile, ResultObject, encode
from node.results.profile import ReportClass
from tests.unit.results.made import (
    ASSERTED,
    CARD,
    DETECTED,
    FINDING_CARD,
    OBLIQUE,
    RUN,
    Made,
    make_enhanced,
    make_findings,
    make_series,
)
from tests.unit.results.real import real_enhanced, real_series

ALL = ("right-lung", "left-lung", "low-attenuation")
CASES = (
    *(
        "all found",
        "one absent",
        "nothing found",
        "enhanced source",
        "oblique",
        "bare source",
        "unicode",
        "3D, requested",
    ),
    *("everything", "detected alone", "classified alone", "paired part"),
)

NOISE = (
    "Different information entities for attribute - Element=<AccessionNumber>",
    "Attribute present in one instance but not the other",
)
"""What dcentvfy also says of sound objects: it asks a document for the accession where images keep it, and results
have empty attributes of type 2 where a source lacks them."""

XPATH_LIMITS = "-Djdk.xml.xpathTotalOpLimit=0 -Djdk.xml.xpathExprOpLimit=0 -Djdk.xml.xpathExprGrpLimit=0"
"""Without them PixelMed's validator dies on current Java (JAXP0801003)."""


@dataclass(frozen=True)
class Run:
    made: Made
    findings: Findings
    objects: tuple[ResultObject, ...]

    def path(self, name: str) -> Path:
        return next(one.path for one in self.objects if one.path.stem == name)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Run]:
    return {case: _run(case, tmp_path_factory.mktemp("run")) for case in CASES}


def _run(case: str, folder: Path) -> Run:
    card = CARD
    if case == "enhanced source":
        made = make_enhanced(folder / "source")
    elif case == "oblique":
        made = make_series(folder / "source", orientation=OBLIQUE, rows=13, columns=7)
    elif case == "bare source":
        absent = ("PatientSex", "PatientBirthDate", "AccessionNumber", "StudyID", "BodyPartExamined", "SeriesNumber")
        made = make_series(folder / "source", frames_of_reference=False, changes=dict.fromkeys(absent))
    else:
        made = make_series(folder / "source")
    if case == "paired part":
        made = make_series(folder / "source", changes={"BodyPartExamined": "LUNG", "Laterality": "L"})
    if case == "unicode":
        card = _in_polish()
    profile = Profile()
    if case == "3D, requested":
        made = make_series(folder / "source", changes={"RequestAttributesSequence": [_request()]})
        profile = Profile(report=ReportClass.COMPREHENSIVE_3D, series_base=7001)
    without = {"one absent": ALL[2:], "nothing found": ALL}.get(case, ())
    findings = make_findings(made, without=without)
    if case in ("everything", "detected alone", "classified alone"):
        card = FINDING_CARD
        findings = replace(findings, classifications=ASSERTED, detections=DETECTED)
    if case.endswith("alone"):
        findings = replace(make_findings(made, without=ALL), classifications=ASSERTED)
    if case == "detected alone":
        findings = replace(findings, detections=DETECTED)
    objects = encode(findings, card, made.grid, made.paths, RUN, folder, volume=made.volume, profile=profile)
    return Run(made, findings, objects)


def _request() -> pydicom.Dataset:
    request = pydicom.Dataset()
    request.RequestedProcedureID, request.ScheduledProcedureStepID = "RP-9", "SPS-1"
    return request


def _in_polish() -> ModelCard:
    return replace(CARD, vendor="Łódź", intended_use="Mierzy płuca, wyłącznie do badań.")


def said(*command: str | Path) -> list[str]:
    """Both outputs of a program, line by line."""
    environment = os.environ | {"JAVA_TOOL_OPTIONS": XPATH_LIMITS}
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, env=environment, errors="replace")
    return (done.stdout + done.stderr).splitlines()


def program(name: str) -> str:
    """A program on PATH or beside the interpreter, where pip puts it."""
    return shutil.which(name) or str(Path(sys.executable).parent / name)


@pytest.mark.real("dicom3tools")
@pytest.mark.parametrize("case", CASES)
def test_dciodvfy_finds_no_error(runs: dict[str, Run], case: str) -> None:
    """Every object of every kind of run fits its definition."""
    faults = [
        f"{one.path.stem}: {line}"
        for one in runs[case].objects
        for line in said("dciodvfy", "-new", one.path)
        if line.startswith("Error")
    ]

    assert faults == []


@pytest.mark.real("dicom3tools")
@pytest.mark.parametrize("case", [case for case in CASES if case != "unicode"])
def test_dcentvfy_finds_one_patient_and_one_study(runs: dict[str, Run], case: str) -> None:
    """Source and results agree in every attribute that they share; it compares bytes, so not across character sets."""
    run = runs[case]
    lines = said("dcentvfy", *run.made.paths.values(), *(one.path for one in run.objects))

    assert [line for line in lines if not any(noise in line for noise in NOISE)] == []


@pytest.mark.real("pixelmed")
@pytest.mark.slow
@pytest.mark.parametrize("case", ["all found", "one absent", "nothing found", "3D, requested", *CASES[-4:-1]])
def test_pixelmed_finds_no_error_in_the_report(runs: dict[str, Run], case: str) -> None:
    """TID 1500 with volumetric groups, with plain groups, and with derived numbers.

    "Internal Error" is the validator's own: it has no list for CID 7465, and prints so for every TID 1420.
    """
    lines = said("DicomSRValidator", runs[case].path("sr"))

    assert "IOD validation complete" in lines
    assert "Found Root Template TID_1500 (MeasurementReport)" in lines
    assert [line for line in lines if line.lstrip().startswith("Error")] == []


@pytest.mark.real("dcmtk")
@pytest.mark.parametrize("name", ["sr", "text"])
def test_dcmtk_reads_the_documents(runs: dict[str, Run], name: str) -> None:
    """Relationships and value types are those the SOP class allows."""
    lines = said("dsrdump", runs["all found"].path(name))

    assert [line for line in lines if line.startswith(("E:", "F:"))] == []
    assert any("Not for diagnostic use" in line or "not reviewed by" in line for line in lines)


@pytest.fixture
def volumes(runs: dict[str, Run], tmp_path: Path) -> dict[str, sitk.Image]:
    """The segments as dcmqi writes them, by tracking id."""
    command = (program("segimage2itkimage"), "--inputDICOM", runs["all found"].path("seg"))
    said(*command, "--outputDirectory", tmp_path, "--outputType", "nrrd", "--prefix", "x")
    meta = json.loads((tmp_path / "x-meta.json").read_text())
    return {
        one["TrackingIdentifier"]: sitk.ReadImage(str(tmp_path / f"x-{one['labelID']}.nrrd"))
        for group in meta["segmentAttributes"]
        for one in group
    }


@pytest.mark.real("dcmqi")
def test_dcmqi_finds_the_same_voxels_in_the_same_places(runs: dict[str, Run], volumes: dict[str, sitk.Image]) -> None:
    """An independent reader in another language puts every voxel where the source has it."""
    run = runs["all found"]
    affine = np.array(run.made.grid.affine_lps)

    assert set(volumes) == {segment.key for segment in run.findings.segments}
    for segment in run.findings.segments:
        image = volumes[segment.key]
        found = [
            image.TransformIndexToPhysicalPoint(tuple(map(int, at[::-1])))
            for at in np.argwhere(sitk.GetArrayFromImage(image) > 0)
        ]
        expected = np.argwhere(segment.mask) @ affine[:3, :3].T + affine[:3, 3]
        assert sorted(map(tuple, np.round(found, 2))) == sorted(map(tuple, np.round(expected, 2)))


@dataclass(frozen=True)
class Number:
    key: str
    code: Code
    unit: Code
    value: float


def measured(run: Run) -> list[Number]:
    """Every number of one segment, rounded as its card says; those of several segments stand elsewhere."""
    cards = {one.key: one for one in CARD.measurements}
    return [
        Number(one.segments[0], cards[one.key].name, cards[one.key].unit, round(one.value, cards[one.key].digits))
        for one in run.findings.measurements
        if len(one.segments) == 1
    ]


@pytest.mark.real("dcmqi")
@pytest.mark.parametrize("case", ["all found", "one absent", "nothing found"])
def test_dcmqi_reads_the_report(runs: dict[str, Run], case: str, tmp_path: Path) -> None:
    """Groups with their tracking identifiers and numbers."""
    out = tmp_path / "report.json"
    said(program("tid1500reader"), "--inputDICOM", runs[case].path("sr"), "--outputMetadata", out)
    groups = json.loads(out.read_text())["Measurements"]

    expected = {one.key for one in CARD.segments} - set(ALL[2:] if case == "one absent" else ())
    assert {group["TrackingIdentifier"] for group in groups} == expected
    read = {
        (group["TrackingIdentifier"], one["quantity"]["CodeValue"], one["units"]["CodeValue"]): float(one["value"])
        for group in groups
        for one in group["measurementItems"]
    }
    assert read == {
        (one.key, one.code.value, one.unit.value): pytest.approx(one.value)
        for one in measured(runs[case])
        if one.key in expected  # a group stands for a segment that is there, or for none at all
    }


@pytest.mark.real("dcmtk")
def test_dcmtk_shows_the_pages(runs: dict[str, Run], tmp_path: Path) -> None:
    """A page rendered by DCMTK is the page that was drawn, colour for colour."""
    page = runs["all found"].path("0002")
    said("dcm2pnm", "+on", page, tmp_path / "page.png")

    shown = np.asarray(Image.open(tmp_path / "page.png").convert("RGB"))
    assert np.array_equal(shown, pydicom.dcmread(page).pixel_array)


@pytest.mark.real("data", "dicom3tools")
@pytest.mark.slow
@pytest.mark.parametrize("source", ["ct-chest-lidc-0001", "mr-brain-enhanced"])
def test_results_of_real_images_are_sound(data: Path, source: str, tmp_path: Path) -> None:
    """A chest CT with a frame of reference on every slice, and an Enhanced MR of another maker."""
    folder = data / source
    made = real_series(folder) if source.startswith("ct") else real_enhanced(min(folder.glob("*.dcm")))
    objects = encode(make_findings(made), CARD, made.grid, made.paths, RUN, tmp_path, volume=made.volume)

    paths = [one.path for one in objects]
    faults = [line for path in paths for line in said("dciodvfy", "-new", path) if line.startswith("Error")]
    assert faults == []
    lines = said("dcentvfy", *list(made.paths.values())[:1], *paths)
    assert [line for line in lines if not any(noise in line for noise in NOISE)] == []
