"""A real study goes in by C-STORE; SEG, SR, text and summary come back into that study of a real PACS."""

import os
import subprocess
import sys
from io import BytesIO
from pathlib import Path

import httpx
import pytest
from pydicom import dcmread

from node.rehearsal.running import RunningNode, running_node
from node.state import schema
from tests.makers.orthanc import Orthanc, running_orthanc

pytestmark = [pytest.mark.real("orthanc", "dcmtk", "data"), pytest.mark.slow]
ROUTES = """
[[route]]
name = "lung-ct"
from = ["pacs"]
when = "'CT' in study.modalities"
model = "lung-ct"
destinations = ["pacs"]
"""
LIMIT_S = 120
IMAGES = 79


def peers(pacs: Orthanc) -> str:
    return f'[[peer]]\nname = "pacs"\nae_title = "{pacs.ae_title}"\naddress = "127.0.0.1"\nport = {pacs.port}\n'


def send(folder: Path, port: int, calling: str) -> None:
    command = ["dcmsend", "127.0.0.1", str(port), "-aec", "ISOCENTER", "-aet", calling, "+sd", str(folder)]
    subprocess.run(command, check=True, env={**os.environ, "TCP_NODELAY": "1"}, capture_output=True)


def wait_for(node: RunningNode, table: object, state: str, count: int = 1) -> None:
    """Until so many rows of the table are in that state."""
    with node.ledger() as ledger:
        for _ in node.until(LIMIT_S, f"no {count} rows of {table.name} became {state}"):
            with ledger.read() as connection:
                if len(connection.execute(table.select().where(table.c.state == state)).all()) >= count:
                    return


@pytest.fixture(scope="module")
def journey(tmp_path_factory: pytest.TempPathFactory, data: Path):
    """The small chest sent once; the PACS holds the study too, as a real one would."""
    folder = tmp_path_factory.mktemp("journey")
    with running_orthanc(folder / "pacs") as pacs:
        settings = {"gathering.quiet_s": "1"}
        with running_node(folder / "node", peers=peers(pacs), routes=ROUTES, settings=settings) as node:
            node.wait_until_ready()
            send(data / "ct-chest-small" / "dicom", pacs.port, "CT")
            send(data / "ct-chest-small" / "dicom", node.port, "PACS")
            wait_for(node, schema.delivery, "accepted")
            yield node, pacs


def test_four_kinds_of_objects_appear_in_the_study(journey: tuple[RunningNode, Orthanc]) -> None:
    _, pacs = journey
    found = {(one.get("SeriesNumber"), one["Modality"], one.get("SeriesDescription")) for one in pacs.series()}

    assert len(pacs.get("/studies")) == 1
    assert {one for one in found if (one[0] or "").startswith("900")} == {
        ("9001", "SEG", "AI lung-ct SEG"),
        ("9002", "SR", "AI lung-ct SR"),
        ("9003", "SR", "AI lung-ct text"),
        ("9004", "OT", "AI lung-ct summary"),
    }


def test_the_summary_has_a_page_of_numbers_and_six_key_slices(journey: tuple[RunningNode, Orthanc]) -> None:
    _, pacs = journey
    summary = next(one for one in pacs.series() if one["Modality"] == "OT")

    assert summary["Instances"] >= 7


def test_a_result_that_comes_back_is_noted_and_never_routed(
    journey: tuple[RunningNode, Orthanc], tmp_path: Path
) -> None:
    node, pacs = journey
    result = next(one for one in pacs.series() if one["Modality"] == "SEG")
    (tmp_path / "seg.dcm").write_bytes(pacs.files(result["ID"])[0])

    send(tmp_path, node.port, "PACS")

    with node.ledger() as ledger:
        for _ in node.until(LIMIT_S, "the result was not noted"):
            with ledger.read() as connection:
                kinds = connection.execute(schema.instance.select().where(schema.instance.c.kind == "own")).all()
            if kinds:
                break
        with ledger.read() as connection:
            (study,) = connection.execute(schema.study.select()).mappings().all()
            jobs = connection.execute(schema.job.select()).all()

    assert study["state"] == "complete"
    assert len(jobs) == 1


def test_sending_the_study_again_makes_no_second_job_or_copy(journey: tuple[RunningNode, Orthanc], data: Path) -> None:
    node, pacs = journey
    before = sorted(pacs.get("/instances"))

    send(data / "ct-chest-small" / "dicom", node.port, "PACS")

    with node.ledger() as ledger, ledger.read() as connection:
        assert len(connection.execute(schema.job.select()).all()) == 1
    assert sorted(pacs.get("/instances")) == before


def test_running_the_model_on_the_folder_gives_the_same_objects(
    journey: tuple[RunningNode, Orthanc], data: Path, tmp_path: Path
) -> None:
    """`isocenter run` makes what the node made, but for creation times."""
    _, pacs = journey
    command = [
        sys.executable,
        "-m",
        "node",
        "run",
        "lung-ct",
        str(data / "ct-chest-small" / "dicom"),
        "--out",
        str(tmp_path / "out"),
    ]
    subprocess.run(command, check=True, capture_output=True)
    series = next(one for one in pacs.series() if one["Modality"] == "SEG")
    theirs = dcmread(BytesIO(pacs.files(series["ID"])[0]))
    ours = dcmread(tmp_path / "out" / "seg.dcm")

    for one in (ours, theirs):
        for keyword in (
            "ContentDate",
            "ContentTime",
            "SeriesDate",
            "SeriesTime",
            "InstanceCreationDate",
            "InstanceCreationTime",
        ):
            if keyword in one:
                delattr(one, keyword)

    assert ours == theirs


def test_monitoring_is_told_what_came_and_how_long_it_took(journey: tuple[RunningNode, Orthanc]) -> None:
    node, _ = journey
    told = httpx.get(f"http://127.0.0.1:{node.admin_port}/metrics").text
    counts = {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in told.splitlines() if line[0] != "#"}

    assert counts['isocenter_instances_total{kind="image"}'] == IMAGES
    assert counts["isocenter_instance_bytes_total"] > IMAGES * 1000
    for stage in ("prepare", "infer", "encode"):
        assert counts[f'isocenter_stage_seconds_count{{outcome="done",stage="{stage}"}}'] == 1
    assert counts["isocenter_turnaround_seconds_count"] == 1
    assert 1 < counts["isocenter_turnaround_seconds_sum"] < LIMIT_S
    assert counts['isocenter_events_total{event="delivery-accepted"}'] == 1
