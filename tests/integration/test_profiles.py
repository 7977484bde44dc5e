"""A destination gets what its table in peers.toml asks for, and is told where images were not analysed."""

from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pytest
from pydicom import Dataset, dcmread

from node.rehearsal.running import running_node
from node.state import schema
from tests.integration.test_journey import ROUTES, peers, send, wait_for
from tests.makers.orthanc import Orthanc, running_orthanc

pytestmark = [pytest.mark.real("orthanc", "dcmtk", "data"), pytest.mark.slow]
PROFILE = 'sr = "comprehensive3d"\nseries_base = 7001\nfailures = true\nrenditions = ["seg", "sr"]\n'


@pytest.fixture(scope="module")
def pacs(tmp_path_factory: pytest.TempPathFactory, data: Path) -> Iterator[Orthanc]:
    """It was sent a chest and a head whose gantry was tilted, and has got back what they gave."""
    folder = tmp_path_factory.mktemp("profiles")
    with running_orthanc(folder / "pacs") as found:
        settings = {"gathering.quiet_s": "1"}
        with running_node(folder / "node", peers=peers(found) + PROFILE, routes=ROUTES, settings=settings) as node:
            node.wait_until_ready()
            send(data / "ct-chest-small" / "dicom", node.port, "PACS")
            send(data / "ct-head-tilted", node.port, "PACS")
            wait_for(node, schema.job, "refused")
            wait_for(node, schema.delivery, "accepted", 2)
            yield found


def held(pacs: Orthanc, number: str) -> Dataset:
    """The one object of the series of that number."""
    (series,) = [one for one in pacs.series() if one["SeriesNumber"] == number]
    (content,) = pacs.files(series["ID"])
    return dcmread(BytesIO(content))


def test_the_report_is_of_the_class_that_was_asked_for(pacs: Orthanc) -> None:
    """A Comprehensive 3D SR, which refers to the segmentation of its own set, under numbers from its own base."""
    report, segmentation = held(pacs, "7002"), held(pacs, "7001")

    assert report.SOPClassUID.name == "Comprehensive 3D SR Storage"
    assert segmentation.SOPInstanceUID in report.to_json()


def test_a_destination_gets_no_rendition_that_it_did_not_ask_for(pacs: Orthanc) -> None:
    numbers = sorted(one["SeriesNumber"] for one in pacs.series())

    assert numbers == ["7001", "7002", "9011", "9012"]


def test_a_refused_study_says_so_in_the_pacs(pacs: Orthanc) -> None:
    """In the study it is about, with the reason that the node gives its operator."""
    notice = held(pacs, "9011")

    assert notice.SeriesDescription == "AI lung-ct NOT ANALYSED"
    assert "NOT analysed" in notice.to_json()
    assert "gantry-tilt" in notice.to_json()
