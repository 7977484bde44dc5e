"""Files come in through the same door, with the same answers."""

import errno
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from node.cli.app import app
from node.configuration import read_configuration
from node.errors import NotFound, SpoolFull
from node.intake.door import Door
from node.intake.importing import import_files
from node.settings import IntakeTable
from node.state.spool import Origin, Spool
from tests.makers.disks import read_only
from tests.makers.elements import ct
from tests.makers.part10 import data_set_of, part10

ORIGIN = Origin("IMPORT", "ISOCENTER", "", "i1", "", datetime(2026, 1, 2, tzinfo=UTC))


@pytest.fixture
def take(tmp_path: Path) -> Callable[[Path], dict[str, int]]:
    spool = Spool(tmp_path / "home")
    spool.open()
    door = Door(spool, IntakeTable(disk_reserve_mb=0, refuse_associations_mb=0), lambda: None)
    return lambda path: {one.path.name: one.answer.status for one in import_files(door, path, ORIGIN)}


def kept(tmp_path: Path) -> list[Path]:
    return sorted((tmp_path / "home").rglob("*.dcm"))


def test_a_folder_is_taken_and_what_is_no_instance_is_told(tmp_path: Path, take: Callable) -> None:
    """Each file with the answer a sender would get; twice is once."""
    folder = tmp_path / "in" / "deeper"
    folder.mkdir(parents=True)
    part10(folder / "good.dcm", ct())
    part10(folder / "cut.dcm", ct(instance="1.2.3")[:-1], instance="1.2.3")
    part10(folder / "other.dcm", ct(instance="1.2.4"), instance="1.2.5")
    part10(folder / "DICOMDIR", ct(), sop_class="1.2.840.10008.1.3.10")
    (folder / "readme.txt").write_text("hello")
    (folder / "half.dcm").write_bytes((folder / "good.dcm").read_bytes()[:150])
    answers = {"good.dcm": 0x0000, "cut.dcm": 0xC000, "other.dcm": 0xA900, "half.dcm": 0xC000}
    answers |= {"DICOMDIR": 0x0122, "readme.txt": 0xC000}

    assert take(tmp_path / "in") == answers == take(tmp_path / "in")
    assert [data_set_of(path) for path in kept(tmp_path)] == [ct()]


def test_a_file_that_contradicts_itself_is_told_in_words_of_a_file(tmp_path: Path) -> None:
    """There was no command, and nobody sent it."""
    spool = Spool(tmp_path / "home")
    spool.open()
    door = Door(spool, IntakeTable(disk_reserve_mb=0, refuse_associations_mb=0), lambda: None)
    (told,) = import_files(door, part10(tmp_path / "one.dcm", ct(instance="1.2.4"), instance="1.2.5"), ORIGIN)

    assert told.why == "it is announced as 1.2.5, and its data set says 1.2.4: correct the sender, or the file"


@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2.4.94", "1.2.3", "", "../../x"])
def test_a_transfer_syntax_that_senders_may_not_use_is_not_imported_either(
    tmp_path: Path, take: Callable, syntax: str
) -> None:
    """Of pixels that lie elsewhere (JPIP) nothing would be here; of an unknown syntax nobody could say what it is."""
    assert take(part10(tmp_path / "one.dcm", ct(), syntax=syntax)) == {"one.dcm": 0x0122}
    assert kept(tmp_path) == []


def test_a_file_that_cannot_be_read_does_not_stop_the_others(
    tmp_path: Path, take: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Forbidden, gone meanwhile, or on a scratched disc: it is told, and the next one is taken."""
    (tmp_path / "in").mkdir()
    part10(tmp_path / "in" / "a.dcm", ct(instance="1.2.1"), instance="1.2.1")
    part10(tmp_path / "in" / "b.dcm", ct(instance="1.2.2"), instance="1.2.2")
    opened = Path.open

    def refusing(path: Path, *how: str) -> object:
        if path.name == "a.dcm":
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return opened(path, *how)

    monkeypatch.setattr(Path, "open", refusing)
    assert take(tmp_path / "in") == {"a.dcm": 0xC000, "b.dcm": 0x0000}


@pytest.mark.parametrize("start", [b"MZ", b"\x7fELF", b"#!/bin/sh\n", b"II*\0"])
def test_a_preamble_that_is_another_file_is_not_kept(tmp_path: Path, take: Callable, start: bytes) -> None:
    """CVE-2019-11687: an image that is a program too."""
    file = part10(tmp_path / "one.dcm", ct())
    file.write_bytes(start + file.read_bytes()[len(start) :])

    assert take(file) == {"one.dcm": 0}
    assert kept(tmp_path)[0].read_bytes()[:132] == bytes(128) + b"DICM"


def test_the_command_imports_and_says_what_it_did_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit code 1 where something was not taken; the node need not run."""
    monkeypatch.setenv("ISOCENTER_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("ISOCENTER_CONFIG", str(tmp_path))
    monkeypatch.setenv("ISOCENTER__INTAKE__DISK_RESERVE_MB", "1")
    (tmp_path / "in").mkdir()
    part10(tmp_path / "in" / "good.dcm", ct())
    assert CliRunner().invoke(app, ["import", str(tmp_path / "in")]).exit_code == 0
    (tmp_path / "in" / "bad.dcm").write_bytes(b"bad")
    done = CliRunner().invoke(app, ["import", str(tmp_path / "in")])

    assert done.exit_code == 1
    assert "bad.dcm: C000: it is no DICOM file" in done.output
    assert "1 instances taken, 1 files not" in done.output
    assert [one.path for one in Spool(tmp_path / "home").arrivals()] == kept(tmp_path)


def test_a_folder_without_a_file_is_no_import(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disc that is not mounted must not look like one that was imported."""
    monkeypatch.setenv("ISOCENTER_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("ISOCENTER_CONFIG", str(tmp_path))
    (tmp_path / "in" / "deeper").mkdir(parents=True)
    done = CliRunner().invoke(app, ["import", str(tmp_path / "in")])

    assert (done.exit_code, isinstance(done.exception, NotFound)) == (1, True)
    assert str(done.exception) == f"{tmp_path / 'in'} holds no file: name the folder in which the studies lie"


@pytest.mark.real("mounts")
def test_a_home_that_cannot_be_written_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ISOCENTER_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("ISOCENTER_CONFIG", str(tmp_path))
    file = part10(tmp_path / "good.dcm", ct())
    (tmp_path / "home").mkdir()
    with read_only(tmp_path / "home"):
        done = CliRunner().invoke(app, ["import", str(file)])

    assert done.exit_code == 1
    assert isinstance(done.exception, SpoolFull)
    assert "Read-only file system; make room, or check the disk" in str(done.exception)


def test_a_caller_is_accepted_by_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its table is appended, comments stay, the file before is kept, and nothing invalid is written."""
    monkeypatch.setenv("ISOCENTER_CONFIG", str(tmp_path))
    (tmp_path / "peers.toml").write_text("# ours\n")
    done = CliRunner().invoke(app, ["peers", "accept", "CT_1", "--address", "192.0.2.0/24"])

    assert done.exit_code == 0, done.output
    (peer,) = read_configuration(tmp_path, {}).peers
    assert (peer.name, peer.ae_title, peer.roles) == ("ct-1", "CT_1", ("source",))
    assert str(peer.addresses[0]) == "192.0.2.0/24"
    assert (tmp_path / "peers.toml").read_text().startswith("# ours\n")
    assert (tmp_path / "peers.toml.old").read_text() == "# ours\n"
    before = (tmp_path / "peers.toml").read_text()
    for bad in (["CT_1"], ["CT2", "--address", "nowhere"]):
        assert CliRunner().invoke(app, ["peers", "accept", *bad]).exit_code != 0
        assert (tmp_path / "peers.toml").read_text() == before
