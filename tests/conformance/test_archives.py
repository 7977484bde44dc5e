"""Archives by others take everything a run is made of: DCMTK's and Orthanc."""

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from node.rehearsal.running import free_ports
from node.results.encode import ResultObject, encode
from node.sending.destination import Destination, Parcel, SendOutcome
from node.sending.dimse import DimseSender
from tests.makers.orthanc import running_orthanc
from tests.makers.programs import ENDS_WITH_US
from tests.unit.results.made import CARD, RUN, make_findings, make_series

LIMIT_S = 30.0
QRSCP = """
NetworkTCPPort = {port}
MaxPDUSize = 131072
MaxAssociations = 4
HostTable BEGIN
HostTable END
VendorTable BEGIN
VendorTable END
AETable BEGIN
PACS {folder} RW (100, 1024mb) ANY
AETable END
"""


@contextmanager
def storescp(folder: Path, port: int) -> Iterator[None]:
    with listening(["storescp", "--output-directory", str(folder), str(port)], port):
        yield


@contextmanager
def dcmqrscp(folder: Path, port: int) -> Iterator[None]:
    settings = folder / "dcmqrscp.cfg"
    settings.write_text(QRSCP.format(port=port, folder=folder))
    with listening(["dcmqrscp", "--config", str(settings)], port):
        yield


@contextmanager
def listening(command: list[str], port: int) -> Iterator[None]:
    """A program that answers C-ECHO, as long as the block lasts."""
    quiet = subprocess.DEVNULL
    with subprocess.Popen([*ENDS_WITH_US, *command], stdout=quiet, stderr=quiet) as process:
        try:
            deadline = time.monotonic() + LIMIT_S
            while not DimseSender().echo(archive(port)).ok:
                assert process.poll() is None, f"{command[0]} ended"
                assert time.monotonic() < deadline
                time.sleep(0.05)
            yield
        finally:
            process.terminate()


def archive(port: int) -> Destination:
    return Destination("archive", "PACS", "127.0.0.1", port, "ISOCENTER")


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> list[Parcel]:
    folder = tmp_path_factory.mktemp("run")
    made = make_series(folder / "source")
    objects = encode(make_findings(made), CARD, made.grid, made.paths, RUN, folder, volume=made.volume)
    return [parcel(one) for one in objects]


def parcel(one: ResultObject) -> Parcel:
    return Parcel(one.path, one.sop_class_uid, one.sop_instance_uid, "1.2.840.10008.1.2.1")


@pytest.mark.real("dcmtk")
@pytest.mark.parametrize("program", [storescp, dcmqrscp])
def test_dcmtk_takes_everything(results: list[Parcel], tmp_path: Path, program: object) -> None:
    (port,) = free_ports(1)
    with program(tmp_path, port):
        report = DimseSender().send(archive(port), results)

    assert {one.outcome for one in report.objects} == {SendOutcome.ACCEPTED}, report.text
    assert len(report.objects) == len(results) > 4


@pytest.mark.real("orthanc")
def test_orthanc_takes_everything(results: list[Parcel], tmp_path: Path) -> None:
    with running_orthanc(tmp_path / "pacs") as pacs:
        report = DimseSender().send(archive(pacs.port), results)
        held = len(pacs.get("/instances"))

    assert {one.outcome for one in report.objects} == {SendOutcome.ACCEPTED}, report.text
    assert held == len(results)
