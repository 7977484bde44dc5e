"""Senders by others, as sites have them: DCMTK, GDCM, Orthanc and pynetdicom, each in the ways in which they differ."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pydicom
import pytest
from pynetdicom.ae import ApplicationEntity

from node.state.associations import AssociationOutcome
from tests.makers.elements import CT_IMAGE, EXPLICIT, IMPLICIT, ct
from tests.makers.orthanc import running_orthanc
from tests.makers.part10 import data_set_of, part10
from tests.makers.receiver import CONFIGURATION, MR_IMAGE, Door, code, opened, process_settings, run

__all__ = ["process_settings"]

PDU_SIZES = (4096, 16384, 65536, 131072)
SYNTAXES = {
    "explicit": "-xe", "implicit": "-xi", "big-endian": "-xb", "rle": "-xr", "jpeg": "-xs", "jpeg-ls": "-xt",
    "jpeg-2000": "-xv",
}  # fmt: skip
"""What storescu proposes, by the transfer syntax of the file."""
OF_FILE = ("explicit", "implicit", "big-endian", "rle", "jpeg", "jpeg", "jpeg-ls", "jpeg-ls", "jpeg-2000")
"""Transfer syntaxes of the nine real files, in the order of their names."""


@pytest.fixture
def door(tmp_path: Path) -> Iterator[Door]:
    """A receiver that takes instances of some size."""
    settings = CONFIGURATION["settings"]
    intake = {**settings["intake"], "max_instance_mb": 64}
    with opened(tmp_path / "home", configuration={**CONFIGURATION, "settings": {**settings, "intake": intake}}) as one:
        yield one


@pytest.fixture
def real(data: Path) -> list[Path]:
    """Nine real images in seven transfer syntaxes."""
    files = sorted((data / "transfer-syntaxes-mr").rglob("*.dcm"))
    assert len(files) == len(OF_FILE)
    return files


def addressed(door: Door) -> tuple[str, ...]:
    return "-aet", "SENDER", "-aec", "ISOCENTER", "127.0.0.1", str(door.port)


def assert_same_images(door: Door, sent: list[Path]) -> None:
    """Every instance is there once, with its identity and every pixel; how a data set is written is the sender's."""
    kept = {one.SOPInstanceUID: one for one in map(pydicom.dcmread, door.files())}
    wanted = {one.SOPInstanceUID: one for one in map(pydicom.dcmread, sent)}
    assert kept.keys() == wanted.keys()
    for uid, one in wanted.items():
        assert (kept[uid].StudyInstanceUID, kept[uid].PatientID) == (one.StudyInstanceUID, one.PatientID)
        assert np.array_equal(kept[uid].pixel_array, one.pixel_array)


# DCMTK


@pytest.mark.real("data", "dcmtk")
def test_storescu_sends_every_transfer_syntax(door: Door, real: list[Path]) -> None:
    for file, syntax in zip(real, OF_FILE, strict=True):
        assert run("storescu", SYNTAXES[syntax], *addressed(door), file).returncode == 0

    assert_same_images(door, real)


@pytest.mark.real("data", "dcmtk")
def test_dcmsend_sends_every_transfer_syntax_over_one_association(door: Door, real: list[Path]) -> None:
    assert run("dcmsend", "--decompress-never", *addressed(door), *real).returncode == 0

    assert_same_images(door, real)
    assert door.ended().outcome is AssociationOutcome.RELEASED


@pytest.mark.real("dcmtk")
@pytest.mark.parametrize("size", PDU_SIZES)
@pytest.mark.parametrize("sender", ["storescu", "dcmsend"])
def test_dcmtk_sends_in_pdus_of_any_size(door: Door, tmp_path: Path, sender: str, size: int) -> None:
    sent = [ct(instance=f"1.2.{n}", pixels=bytes([n]) * 300_001) for n in range(4)]
    files = [part10(tmp_path / f"{n}.dcm", one, instance=f"1.2.{n}") for n, one in enumerate(sent)]

    assert run(sender, "-pdu", str(size), "--max-send-pdu", str(size), *addressed(door), *files).returncode == 0
    assert len(door.files()) == 4


@pytest.mark.real("dcmtk")
def test_a_sender_that_knows_implicit_vr_alone_is_served(door: Door, tmp_path: Path) -> None:
    file = part10(tmp_path / "one.dcm", ct(syntax=IMPLICIT), syntax=IMPLICIT)

    assert run("storescu", "-xi", "-R", *addressed(door), file).returncode == 0
    assert door.data_sets() == [ct(syntax=IMPLICIT)]


@pytest.mark.real("dcmtk")
@pytest.mark.parametrize("sender", ["dcmsend", "storescu", "echoscu"])
def test_dcmtks_default_called_title_is_rejected_with_words(door: Door, tmp_path: Path, sender: str) -> None:
    """Everybody tries it first without -aec; it then calls ANY-SCP."""
    file = [] if sender == "echoscu" else [part10(tmp_path / "one.dcm", ct())]
    done = run(sender, "-aet", "SENDER", "127.0.0.1", str(door.port), *file)

    assert done.returncode != 0
    assert "Rejected" in done.stdout + done.stderr
    assert door.ended().called_ae == "ANY-SCP"
    assert "ANY-SCP" in door.ended().why


@pytest.mark.real("dcmtk")
def test_dcmtks_default_called_title_is_taken_where_the_node_has_it(tmp_path: Path) -> None:
    settings = {**CONFIGURATION["settings"], "node": {"ae_titles": ["ISOCENTER", "ANY-SCP"]}}
    file = part10(tmp_path / "one.dcm", ct())
    with opened(tmp_path / "home", configuration={**CONFIGURATION, "settings": settings}) as door:
        assert run("dcmsend", "-aet", "SENDER", "127.0.0.1", str(door.port), file).returncode == 0
        assert door.data_sets() == [ct()]


@pytest.mark.real("dcmtk")
def test_echoscu_with_everything_it_can_propose_is_answered(door: Door) -> None:
    """38 transfer syntaxes in each of 128 presentation contexts."""
    assert run("echoscu", "-pts", "38", "-ppc", "128", *addressed(door)).returncode == 0


# GDCM. The gdcmscu of Debian 12 (3.0.21) ends with an exception of its own after it has released, whoever the acceptor
# is (DCMTK's storescp, too): its exit code says nothing. What counts is what arrived, and that it released in order.


@pytest.mark.real("gdcm")
def test_gdcmscu_verifies(door: Door) -> None:
    run("gdcmscu", "--echo", "--aetitle", "SENDER", "--call", "ISOCENTER", "127.0.0.1", str(door.port))

    assert door.ended().outcome is AssociationOutcome.RELEASED


@pytest.mark.real("data", "gdcm")
def test_gdcmscu_sends_a_study(door: Door, data: Path, tmp_path: Path) -> None:
    files = sorted((data / "ct-head-tilted").glob("*.dcm"))[:5]
    (tmp_path / "sent").mkdir()
    for file in files:
        shutil.copy(file, tmp_path / "sent")
    titles = ("--aetitle", "SENDER", "--call", "ISOCENTER")
    run("gdcmscu", "--store", *titles, "127.0.0.1", str(door.port), "-r", "-i", tmp_path / "sent")

    assert (door.ended().outcome, door.ended().stored) == (AssociationOutcome.RELEASED, len(files))
    assert_same_images(door, files)


# Orthanc


@pytest.mark.real("data", "orthanc")
def test_orthanc_sends_every_transfer_syntax(door: Door, real: list[Path], tmp_path: Path) -> None:
    more = {
        "DicomModalities": {"node": ["ISOCENTER", "127.0.0.1", door.port]},
        "DicomScuPreferredTransferSyntax": EXPLICIT,
    }
    with running_orthanc(tmp_path / "orthanc", "SENDER", more) as orthanc:
        for file in real:
            httpx.post(f"{orthanc.url}/instances", content=file.read_bytes(), timeout=60).raise_for_status()
        assert httpx.post(f"{orthanc.url}/modalities/node/echo", json={}, timeout=60).status_code == 200
        sent = httpx.post(f"{orthanc.url}/modalities/node/store", json=orthanc.get("/instances"), timeout=60).json()

    assert sent["FailedInstancesCount"] == 0
    assert_same_images(door, real)


# pynetdicom


@pytest.mark.parametrize("size", [0, *PDU_SIZES])
def test_pynetdicom_sends_in_pdus_of_any_size(door: Door, tmp_path: Path, size: int) -> None:
    """0: of any length."""
    data_set = ct(pixels=bytes(300_000))
    entity = ApplicationEntity("SENDER")
    entity.add_requested_context(CT_IMAGE, [EXPLICIT])
    sender = entity.associate("127.0.0.1", door.port, ae_title="ISOCENTER", max_pdu=size)

    assert code(sender.send_c_store(part10(tmp_path / "one.dcm", data_set))) == 0x0000
    sender.release()
    assert door.data_sets() == [data_set]


def test_contexts_of_one_class_in_several_syntaxes_keep_each_its_own(door: Door, real_pair: list[Path]) -> None:
    """One abstract syntax, two contexts: each instance comes on the one of its syntax."""
    entity = ApplicationEntity("SENDER")
    entity.add_requested_context(MR_IMAGE, [EXPLICIT])
    entity.add_requested_context(CT_IMAGE, [EXPLICIT])
    entity.add_requested_context(CT_IMAGE, [IMPLICIT])
    sender = entity.associate("127.0.0.1", door.port, ae_title="ISOCENTER")
    answers = [code(sender.send_c_store(file)) for file in real_pair]
    sender.release()

    assert answers == [0x0000, 0x0000]
    assert door.data_sets() == sorted(map(data_set_of, real_pair))


@pytest.fixture
def real_pair(tmp_path: Path) -> list[Path]:
    """The same image in two transfer syntaxes, under two UIDs."""
    return [
        part10(tmp_path / "explicit.dcm", ct(instance="1.2.1"), instance="1.2.1"),
        part10(tmp_path / "implicit.dcm", ct(instance="1.2.2", syntax=IMPLICIT), instance="1.2.2", syntax=IMPLICIT),
    ]
