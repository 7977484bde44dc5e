"""`isocenter send`: files of any kind to a peer, by C-STORE and by STOW-RS, and what is told of those not taken."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pydicom.data import get_testdata_file
from pydicom.uid import CTImageStorage
from pynetdicom import AE, evt

from node.core.identity import derived_uid
from node.rehearsal.running import free_ports
from node.sending.destination import Destination
from node.service.handing import SET_SIZE, find_instances, hand_over
from tests.makers.orthanc import Orthanc, running_orthanc
from tests.makers.series import ct_series

Send = Callable[..., subprocess.CompletedProcess[str]]
SERIES = 2 * SET_SIZE + 3


@pytest.fixture(scope="module")
def pacs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orthanc]:
    with running_orthanc(tmp_path_factory.mktemp("pacs")) as found:
        yield found


@pytest.fixture(scope="module")
def send(pacs: Orthanc, tmp_path_factory: pytest.TempPathFactory) -> Send:
    config = tmp_path_factory.mktemp("config")
    (config / "node.toml").write_text("")
    (config / "routes.toml").write_text("")
    (config / "peers.toml").write_text(f"""
[[peer]]
name = "pacs"
ae_title = "{pacs.ae_title}"
address = "127.0.0.1"
port = {pacs.port}

[[peer]]
name = "web"
ae_title = "WEB"
url = "{pacs.url}/dicom-web"

[[peer]]
name = "dead"
ae_title = "DEAD"
address = "127.0.0.1"
port = {free_ports(1)[0]}

[[peer]]
name = "ct"
ae_title = "CT"
roles = ["source"]
""")

    def ask(*arguments: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "node", "send", *map(str, arguments)]
        environment = {**os.environ, "ISOCENTER_CONFIG": str(config)}
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)

    return ask


@pytest.mark.real("orthanc")
@pytest.mark.parametrize("peer", ["pacs", "web"])
def test_a_folder_arrives_whole(peer: str, pacs: Orthanc, send: Send, tmp_path: Path) -> None:
    """More than one association takes, compressed and plain, beside files that are no instances."""
    ct_series(tmp_path / "a", slices=SERIES, series=peer)
    for name in ("JPEG2000.dcm", "MR_small_RLE.dcm"):
        (tmp_path / name).write_bytes(Path(get_testdata_file(name)).read_bytes())
    (tmp_path / "DICOMDIR").write_bytes(Path(get_testdata_file("DICOMDIR")).read_bytes())
    (tmp_path / "readme.txt").write_text("from the scanner")

    told = send(peer, tmp_path)

    assert told.returncode == 0, told.stdout + told.stderr
    assert f"{SERIES + 2} instances sent to {peer}, 0 not; 2 other files" in told.stdout
    assert "DICOMDIR: not sent: it is a DICOMDIR" in told.stdout
    assert "readme.txt: not sent: it is no DICOM file" in told.stdout
    uid = derived_uid("maker", "study", peer)
    assert {one["SeriesInstanceUID"]: one["Instances"] for one in pacs.series()}[uid] == SERIES


@pytest.mark.real("orthanc")
def test_what_is_not_taken_is_told_and_the_rest_goes(send: Send, tmp_path: Path) -> None:
    """One file is of a class that nobody stores."""
    _, broken, _ = ct_series(tmp_path, slices=3)
    broken.write_bytes(broken.read_bytes().replace(b"1.2.840.10008.5.1.4.1.1.2\0", b"1.2.840.10008.5.1.4.1.9.9\0"))

    told = send("pacs", tmp_path)

    assert told.returncode == 1
    assert "2 instances sent to pacs, 1 not" in told.stdout
    assert f"{broken}: " in told.stdout


def test_nobody_there_is_said_once_for_all(send: Send, tmp_path: Path) -> None:
    ct_series(tmp_path, slices=SERIES)

    told = send("dead", tmp_path)

    assert told.returncode == 1
    assert f"0 instances sent to dead, {SERIES} not" in told.stdout
    assert told.stdout.count("not tried, as before") == SERIES - SET_SIZE


def test_what_is_asked_for_must_be_there(send: Send, tmp_path: Path) -> None:
    (tmp_path / "readme.txt").write_text("nothing else")

    assert send("nobody", tmp_path).returncode == 4
    assert send("ct", tmp_path).returncode == 2
    assert send("dead", tmp_path / "gone").returncode == 4
    nothing = send("dead", tmp_path)
    assert nothing.returncode == 4
    assert "no DICOM instance was found there (1 other files)" in nothing.stderr


def test_a_file_that_fails_while_it_is_read_is_told(tmp_path: Path) -> None:
    """The system names a file in the error of its opening, and none in that of its reading."""
    files = ct_series(tmp_path, slices=1)
    broken = tmp_path / "broken.dcm"
    broken.symlink_to("/proc/self/mem")
    found = find_instances([tmp_path])

    assert [one.path for one in found.parcels] == files
    assert found.others == ((broken, "it cannot be read: Input/output error"),)


def test_each_copy_of_an_instance_has_its_own_answer(tmp_path: Path) -> None:
    """The peer takes the first and refuses the second: neither answer may stand for both."""
    (path,) = ct_series(tmp_path, slices=1)
    answers = iter((0x0000, 0xA900))
    entity = AE("ONCE")
    entity.add_supported_context(CTImageStorage)
    server = entity.start_server(
        ("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, lambda _event: next(answers))]
    )
    try:
        destination = Destination("once", "ONCE", "127.0.0.1", server.server_address[1], "ISOCENTER")
        handed = list(hand_over(destination, find_instances([path, path]).parcels))
    finally:
        server.shutdown()

    assert [one.is_accepted for one in handed] == [True, False]
