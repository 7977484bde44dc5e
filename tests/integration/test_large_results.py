"""A large result goes out as it is, piece by piece, to a PACS by others."""

import subprocess
import time
from pathlib import Path

import pytest

from node.core.identity import ClassUID, InstanceUID
from node.rehearsal.running import free_ports
from node.sending.destination import Destination, Parcel, SendOutcome
from node.sending.dimse import DimseSender
from tests.makers.elements import EXPLICIT, INSTANCE, ct
from tests.makers.part10 import data_set_of, part10
from tests.makers.programs import ENDS_WITH_US

SEGMENTATION = "1.2.840.10008.5.1.4.1.1.66.4"
SIZE_BYTES = 64 << 20


def resident_mb() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / (1 << 20)


@pytest.mark.real("dcmtk")
def test_a_segmentation_of_64_mb_arrives_byte_for_byte_and_is_never_held_whole(tmp_path: Path) -> None:
    """As many as two thousand frames of a mask are."""
    file = part10(tmp_path / "seg.dcm", ct(sop_class=SEGMENTATION, pixels=bytes(SIZE_BYTES)), sop_class=SEGMENTATION)
    content = data_set_of(file)
    parcel = Parcel(file, ClassUID(SEGMENTATION), InstanceUID(INSTANCE), EXPLICIT)
    (port,) = free_ports(1)
    (tmp_path / "kept").mkdir()
    archive = subprocess.Popen([*ENDS_WITH_US, "storescp", "+B", "-aet", "PACS", "-od", tmp_path / "kept", str(port)])
    try:
        peer = Destination(name="pacs", ae_title="PACS", host="127.0.0.1", port=port, our_ae_title="ISOCENTER")
        deadline = time.monotonic() + 20
        before = resident_mb()
        while (report := DimseSender().send(peer, [parcel])).outcome is not SendOutcome.ACCEPTED:
            assert time.monotonic() < deadline, report
        assert resident_mb() - before < 32
    finally:
        archive.kill()
        archive.wait()
    (kept,) = (tmp_path / "kept").iterdir()
    assert data_set_of(kept) == content
