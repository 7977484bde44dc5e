"""Maps, derived images, presentation states, key notes, structure sets and PDF under the programs of others."""

import subprocess
import time
from dataclasses import replace
from pathlib import Path

import pydicom
import pytest

from node.bench.servers import storescp
from node.rehearsal.running import free_ports
from node.results.encode import Profile, ResultObject, encode
from node.results.profile import Coordinates, ReportClass
from node.results.uids import RenditionKind
from tests.conformance.test_result_objects import NOISE, said
from tests.makers.orthanc import running_orthanc
from tests.makers.programs import ENDS_WITH_US
from tests.unit.results.kinds import EVERY_KIND, FLAT_CARD, FULL_CARD, flat_findings, full_findings, make_radiograph
from tests.unit.results.made import RUN, Made, make_enhanced, make_series
from tests.unit.results.real import real_enhanced

IN_PATIENT = replace(
    EVERY_KIND, report=ReportClass.COMPREHENSIVE_3D, coordinates=Coordinates.PATIENT, outlines=True
)  # fmt: skip
CASES = ("series", "enhanced", "in the patient", "radiograph", "inverted radiograph")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Made, tuple[ResultObject, ...]]]:
    return {case: _run(case, tmp_path_factory.mktemp("run")) for case in CASES}


def _run(case: str, folder: Path) -> tuple[Made, tuple[ResultObject, ...]]:
    if "radiograph" in case:
        made = make_radiograph(folder / "source", photometric="MONOCHROME1" if "inverted" in case else "MONOCHROME2")
        return made, _encoded(made, folder, EVERY_KIND, flat=True)
    made = make_enhanced(folder / "source") if case == "enhanced" else make_series(folder / "source")
    return made, _encoded(made, folder, IN_PATIENT if case == "in the patient" else EVERY_KIND)


def _encoded(made: Made, folder: Path, profile: Profile, *, flat: bool = False) -> tuple[ResultObject, ...]:
    findings, card = (flat_findings(made), FLAT_CARD) if flat else (full_findings(made), FULL_CARD)
    (folder / "out").mkdir()
    return encode(findings, card, made.grid, made.paths, RUN, folder / "out", volume=made.volume, profile=profile)


Runs = dict[str, tuple[Made, tuple[ResultObject, ...]]]


@pytest.mark.real("dicom3tools")
@pytest.mark.parametrize("case", CASES)
def test_dciodvfy_finds_no_error_in_any_kind(runs: Runs, case: str) -> None:
    faults = [
        f"{one.path.stem}: {line}"
        for one in runs[case][1]
        for line in said("dciodvfy", "-new", one.path)
        if line.startswith("Error")
    ]

    assert faults == []


@pytest.mark.real("dicom3tools")
@pytest.mark.parametrize("case", CASES)
def test_dcentvfy_finds_one_patient_and_one_study_in_all_kinds(runs: Runs, case: str) -> None:
    made, objects = runs[case]
    lines = said("dcentvfy", *made.paths.values(), *(one.path for one in objects))

    assert [line for line in lines if not any(noise in line for noise in NOISE)] == []


@pytest.mark.real("pixelmed")
@pytest.mark.slow
@pytest.mark.parametrize("case", ["in the patient", "radiograph"])
def test_pixelmed_finds_no_error_in_the_report(runs: Runs, case: str) -> None:
    """With Volume Surfaces (SCOORD3D), and with planar groups (TID 1410)."""
    lines = said("DicomSRValidator", next(one.path for one in runs[case][1] if one.kind is RenditionKind.SR))

    assert "IOD validation complete" in lines
    assert [line for line in lines if line.lstrip().startswith("Error")] == []


@pytest.mark.real("dcmtk")
@pytest.mark.parametrize("case", CASES)
def test_dcmtk_reads_presentation_states_and_notes(runs: Runs, case: str) -> None:
    states = [one.path for one in runs[case][1] if one.kind is RenditionKind.GSPS]
    notes = [one.path for one in runs[case][1] if one.kind in (RenditionKind.KO, RenditionKind.SR)]

    assert states
    assert all("W: Test passed." in said("dcmpschk", path) for path in states)
    assert [line for path in notes for line in said("dsrdump", path) if line.startswith(("E:", "F:"))] == []


@pytest.mark.real("dcmtk")
def test_storescp_accepts_every_kind(runs: Runs, tmp_path: Path) -> None:
    files = [one.path for case in ("series", "radiograph") for one in runs[case][1]]
    with storescp(tmp_path / "storescp") as server:
        lines = said("dcmsend", "-v", "-nh", "127.0.0.1", str(server.port), *files)

    assert any("with status SUCCESS" in line and str(len(files)) in line for line in lines), lines[-8:]


@pytest.mark.real("dcmtk", "orthanc")
def test_orthanc_accepts_every_kind(runs: Runs, tmp_path: Path) -> None:
    files = [one.path for one in runs["series"][1]]
    with running_orthanc(tmp_path / "pacs") as pacs:
        said("dcmsend", "-nh", "127.0.0.1", str(pacs.port), *files)
        held = {one["SeriesDescription"]: one["Instances"] for one in pacs.series()}

    assert sum(held.values()) == len(files)
    assert len(held) == len(RenditionKind) - 3  # the notices and the rejection note are not of this run


@pytest.mark.real("dcmtk")
def test_dcmqrscp_accepts_every_kind(runs: Runs, tmp_path: Path) -> None:
    """DCMTK's archive, which indexes what it takes."""
    (port,) = free_ports(1)
    (tmp_path / "db").mkdir()
    (tmp_path / "config").write_text(
        "NetworkTCPPort = 1\nMaxPDUSize = 131072\nMaxAssociations = 4\nHostTable BEGIN\nHostTable END\n"
        "VendorTable BEGIN\nVendorTable END\n"
        f"AETable BEGIN\nARCHIVE {tmp_path / 'db'} RW (200, 1024mb) ANY\nAETable END\n"
    )
    files = [one.path for one in runs["series"][1]]
    with subprocess.Popen(
        [*ENDS_WITH_US, "dcmqrscp", "-c", str(tmp_path / "config"), str(port)], stderr=subprocess.DEVNULL
    ) as archive:
        try:
            lines = _sent(port, files)
        finally:
            archive.kill()

    assert any("with status SUCCESS" in line and f": {len(files)}" in line for line in lines), lines[-8:]


def _sent(port: int, files: list[Path]) -> list[str]:
    """What dcmsend says once the archive is up."""
    deadline = time.monotonic() + 30
    while True:
        lines = said("dcmsend", "-v", "-nh", "-aec", "ARCHIVE", "127.0.0.1", str(port), *files)
        if not any("TCP Initialization Error" in line for line in lines) or time.monotonic() > deadline:
            return lines


@pytest.mark.real("data", "dicom3tools")
@pytest.mark.slow
def test_results_of_a_real_multi_frame_image_are_sound(data: Path, tmp_path: Path) -> None:
    """Every kind, of an Enhanced MR whose maker fills every functional group; its own faults are not ours."""
    path = min((data / "mr-brain-enhanced").glob("*.dcm"))
    made = real_enhanced(path)
    objects = _encoded(made, tmp_path, EVERY_KIND)
    of_source = {_place(line) for line in said("dciodvfy", "-new", path) if line.startswith("Error")}
    faults = [
        f"{one.path.stem}: {line}"
        for one in objects
        for line in said("dciodvfy", "-new", one.path)
        if line.startswith("Error") and not (one.kind is RenditionKind.DERIVED and _place(line) in of_source)
    ]

    assert faults == []
    derived = pydicom.dcmread(next(one.path for one in objects if one.kind is RenditionKind.DERIVED))
    assert derived.SOPClassUID == pydicom.dcmread(path, stop_before_pixels=True).SOPClassUID


def _place(line: str) -> str:
    return line.partition("<")[2].partition(">")[0]
