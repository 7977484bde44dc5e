"""What the spool promises: an instance is there whole or not at all, and stays."""

import errno
import hashlib
import multiprocessing
import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pydicom
import pytest

from node.core.identity import ClassUID, InstanceUID, StudyUID
from node.errors import ConflictRefused, SpoolFull, Unreadable
from node.state.digests import data_set_sha256
from node.state.file_meta import _element
from node.state.spool import Origin, Outcome, Published, Spool, read_meta
from tests.makers.elements import CT_IMAGE, EXPLICIT, INSTANCE, STUDY, ct

ORIGIN = Origin("SENDER", "ISOCENTER", "10.0.0.7", "a1", "ct1", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC))


@pytest.fixture
def home(tmp_path: Path) -> Path:
    Spool(tmp_path).open()
    return tmp_path


def publish(home: Path, data_set: bytes, instance: str = INSTANCE, study: str = STUDY, **more: bool) -> Published:
    return publish_by(Spool(home), data_set, instance, study, **more)


def publish_by(spool: Spool, data_set: bytes, instance: str = INSTANCE, study: str = STUDY, **more: bool) -> Published:
    begun = spool.begin(
        sop_class_uid=ClassUID(CT_IMAGE),
        sop_instance_uid=InstanceUID(instance),
        transfer_syntax_uid=EXPLICIT,
        origin=ORIGIN,
    )
    with begun as draft:
        draft.write(memoryview(data_set)[: len(data_set) // 2])
        draft.write(memoryview(data_set)[len(data_set) // 2 :])
        return spool.publish(draft, study_uid=StudyUID(study), **more)


def data_set_of(path: Path) -> bytes:
    with path.open("rb") as file:
        pydicom.filereader.read_preamble(file, force=False)
        pydicom.filereader._read_file_meta_info(file)
        return file.read()


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_published_instance_is_a_part_10_file_with_the_bytes_as_they_came(home: Path) -> None:
    """File meta is ours, the data set is the sender's, byte by byte."""
    published = publish(home, ct())

    assert published.outcome is Outcome.NEW
    assert published.path == home / "spool" / "instances" / STUDY / f"{INSTANCE}.dcm"
    assert data_set_of(published.path) == ct()
    assert pydicom.dcmread(published.path).PatientID == "P1"
    assert published.size_bytes == len(ct())


def test_file_meta_tells_how_the_instance_came(home: Path) -> None:
    """Caller, association and time are read back from the file alone."""
    meta = read_meta(publish(home, ct()).path)

    assert Origin(*(getattr(meta, name) for name in vars(ORIGIN))) == ORIGIN
    assert (meta.sop_class_uid, meta.sop_instance_uid, meta.transfer_syntax_uid) == (CT_IMAGE, INSTANCE, EXPLICIT)


def test_a_data_set_says_nothing_of_how_it_came(home: Path) -> None:
    """Elements of the file meta at its beginning are read as more of the file meta by whoever ignores its length."""
    forged = b"".join(_element(tag, vr, value) for tag, vr, value in (
        (0x0003, b"UI", "1.2.3.4"), (0x0016, b"AE", "FORGED"), (0x0018, b"AE", "FORGED"),
    ))  # fmt: skip

    meta = read_meta(publish(home, forged + ct()).path)

    assert (meta.calling_ae, meta.called_ae, meta.sop_instance_uid) == (ORIGIN.calling_ae, ORIGIN.called_ae, INSTANCE)


def test_a_file_of_someone_else_has_no_origin(home: Path) -> None:
    """A foreign file in the spool is an error that names it, not a crash."""
    path = publish(home, ct()).path
    path.write_bytes(path.read_bytes()[:200])

    with pytest.raises(Unreadable, match=INSTANCE):
        read_meta(path)


def refusal(path: Path) -> str:
    """What is said of its file meta; empty where it is read."""
    try:
        read_meta(path)
    except Unreadable as error:
        return str(error)
    return ""


def test_damaged_file_meta_is_an_error_that_names_the_file(home: Path) -> None:
    """Wherever it is cut off or changed, it is read or refused, and nothing else happens."""
    path = publish(home, ct()).path
    whole = path.read_bytes()
    end = len(whole) - len(ct())
    damaged = [
        *(whole[:place] for place in range(end)),
        *(whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :] for place in range(132, end)),
    ]
    said = [refusal(path) for one in damaged if path.write_bytes(one) >= 0]

    assert {INSTANCE in one for one in said if one} == {True}
    assert sum(map(bool, said)) > end


def test_the_same_data_set_again_changes_nothing(home: Path) -> None:
    """A duplicate is recognised by its bytes."""
    first = publish(home, ct())
    inode = first.path.stat().st_ino
    again = publish(home, ct())

    assert (again.outcome, again.path) == (Outcome.DUPLICATE, first.path)
    assert first.path.stat().st_ino == inode


def test_other_bytes_under_the_same_uid_are_kept_beside_the_first(home: Path) -> None:
    """The first stays untouched; the second has its digest in its name; each is recognised again."""
    first, other = publish(home, ct()), publish(home, ct(pixels=b"other pixels"))
    again = publish(home, ct(pixels=b"other pixels"))

    assert other.outcome is Outcome.CONFLICT
    digest = hashlib.sha256(ct(pixels=b"other pixels")).hexdigest()
    assert other.path == first.path.with_name(f"{INSTANCE}~{digest[:12]}.dcm")
    assert data_set_sha256(other.path) == digest
    assert (again.outcome, again.path) == (Outcome.DUPLICATE, other.path)
    assert data_set_of(first.path) == ct()
    assert data_set_of(other.path) == ct(pixels=b"other pixels")


def test_equal_length_and_digest_in_the_name_are_not_trusted(home: Path) -> None:
    """Only equal bytes make a duplicate: a first file that was damaged on disk is not one."""
    first = publish(home, ct())
    damaged = bytearray(first.path.read_bytes())
    damaged[-1] ^= 1
    first.path.write_bytes(damaged)

    assert publish(home, ct()).outcome is Outcome.CONFLICT


def test_conflicts_can_be_refused(home: Path) -> None:
    """A peer that wants conflicts refused leaves nothing behind."""
    publish(home, ct())

    with pytest.raises(ConflictRefused, match=INSTANCE):
        publish(home, ct(pixels=b"other"), refuse_conflict=True)
    assert names(home / "spool" / "instances" / STUDY) == [f"{INSTANCE}.dcm"]
    assert names(home / "spool" / "aside") == []


@pytest.mark.parametrize(
    "uid", ["../../x", "/abs", "..", ".", "", "1.2\n", "1.2\0", "1" * 65, "1.2\\1.3", "１.2", "CON"]
)
def test_no_path_is_made_of_what_is_not_a_uid(home: Path, uid: str) -> None:
    """Neither as study nor as instance."""
    before = sorted(home.rglob("*"))

    with pytest.raises(Unreadable):
        publish(home, ct(), instance=uid)
    with pytest.raises(Unreadable):
        publish(home, ct(), study=uid)
    assert sorted(home.rglob("*")) == before


def test_files_are_for_the_node_alone(home: Path) -> None:
    """Folders 0700, files 0600."""
    publish(home, ct())
    modes = {path.is_dir(): path.stat().st_mode & 0o777 for path in (home / "spool").rglob("*")}

    assert {path.stat().st_mode & 0o777 for path in (home / "spool").rglob("*") if path.is_dir()} == {0o700}
    assert modes == {True: 0o700, False: 0o600}
    assert (home / "spool").stat().st_mode & 0o777 == 0o700


def test_arrivals_are_listed_until_they_are_taken(home: Path) -> None:
    """The list of arrivals names the published file; conflicts are arrivals of their own."""
    first, other = publish(home, ct()), publish(home, ct(pixels=b"other"))
    spool = Spool(home)
    arrivals = list(spool.arrivals())

    assert [one.path for one in arrivals] == [first.path, other.path]
    assert spool.holds(StudyUID(STUDY))
    assert not spool.holds(StudyUID(STUDY[:-1]))
    for one in arrivals:
        spool.taken(one)
        spool.taken(one)
    assert list(spool.arrivals()) == []
    assert not spool.holds(StudyUID(STUDY))


def test_a_duplicate_is_an_arrival_again(home: Path) -> None:
    """Its first sender may have died between the two links; indexing twice is harmless, missing one is not."""
    publish(home, ct())
    spool = Spool(home)
    for one in spool.arrivals():
        spool.taken(one)
    publish(home, ct())

    assert [one.path.stem for one in spool.arrivals()] == [INSTANCE]


def test_after_a_restart_of_the_machine_everything_is_an_arrival(home: Path) -> None:
    """The list of arrivals is not synced; another boot id says not to trust it."""
    path = publish(home, ct()).path
    spool = Spool(home)
    for one in spool.arrivals():
        spool.taken(one)

    assert spool.open() is False
    assert list(spool.arrivals()) == []
    (home / "spool" / "boot-id").write_text("another boot")
    assert spool.open() is True
    assert [one.path for one in spool.arrivals()] == [path]


def test_what_a_crash_left_aside_is_removed_at_start_and_what_is_in_use_is_not(home: Path) -> None:
    """A dead writer's file goes; a living one's stays."""
    left = home / "spool" / "aside" / "0123.part"
    left.write_bytes(b"half")
    held = home / "spool" / "aside" / "4567.part"
    holder = subprocess.Popen(
        ["flock", held, "sh", "-c", "echo held; read _"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        Spool(home).open()

        assert names(home / "spool" / "aside") == ["4567.part"]
        holder.communicate(b"\n")


def test_threads_and_processes_publishing_the_same_instance_make_one_file(home: Path) -> None:
    """One wins, the others are duplicates."""
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        outcomes = [one.outcome for one in pool.starmap(publish, [(home, ct())] * 8)]
    with ThreadPoolExecutor(8) as threads:
        outcomes += [one.outcome for one in threads.map(lambda _: publish(home, ct()), range(32))]

    assert sorted(outcomes) == [Outcome.DUPLICATE] * 39 + [Outcome.NEW]
    assert names(home / "spool" / "instances" / STUDY) == [f"{INSTANCE}.dcm"]
    assert names(home / "spool" / "aside") == []


def test_threads_publishing_different_bytes_under_one_uid_keep_all_of_them(home: Path) -> None:
    """However they meet, no data set is lost."""
    data_sets = [ct(pixels=bytes([number]) * 100) for number in range(8)]
    with ThreadPoolExecutor(8) as threads:
        published = list(threads.map(lambda one: publish(home, one), data_sets))

    assert [data_set_of(one.path) for one in published] == data_sets
    assert sorted(one.outcome for one in published) == [Outcome.CONFLICT] * 7 + [Outcome.NEW]


@pytest.mark.parametrize("call", ["open", "write", "fsync", "link"])
@pytest.mark.parametrize("fault", [errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS])
def test_a_disk_that_fails_is_told_and_nothing_partial_stays(
    home: Path, monkeypatch: pytest.MonkeyPatch, call: str, fault: int
) -> None:
    """Whichever step fails, the sender is refused, no file is visible, and afterwards all is well."""

    def fail(*_: object, **__: object) -> None:
        raise OSError(fault, os.strerror(fault))

    with monkeypatch.context() as patch:
        patch.setattr(os, call, fail)
        with pytest.raises(SpoolFull):
            publish(home, ct())

    assert list((home / "spool").rglob("*.dcm")) == []
    assert names(home / "spool" / "aside") == []
    assert publish(home, ct()).outcome is Outcome.NEW


def test_a_failed_sync_of_a_folder_is_never_retried_as_a_success(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Linux may drop the pages: what a second fsync says is worth nothing. Until a restart nothing is taken."""
    spool = Spool(home)
    real = os.fsync

    def fail_on_folders(descriptor: int) -> None:
        if Path(f"/proc/self/fd/{descriptor}").resolve().is_dir():
            raise OSError(errno.EIO, "I/O error")
        real(descriptor)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail_on_folders)
        with pytest.raises(SpoolFull, match="check it"):
            publish_by(spool, ct())

    with pytest.raises(SpoolFull, match="start the node again"):
        publish_by(spool, ct())


def test_a_spool_that_is_not_there_is_told(tmp_path: Path) -> None:
    """An unmounted disk is no reason to write elsewhere."""
    with pytest.raises(SpoolFull, match="mount"):
        publish(tmp_path, ct())
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def small_disk(tmp_path: Path) -> Path:
    """A home on a disk of 4 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "isocenter-test", folder], capture_output=True)
    if done.returncode:
        pytest.skip("mounting a small disk needs root")
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_a_full_disk_refuses_and_recovers(small_disk: Path) -> None:
    """The real thing: no room, nothing partial; room again, taken again."""
    Spool(small_disk).open()
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(3 << 20))

    with pytest.raises(SpoolFull, match="make room"):
        publish(small_disk, ct(pixels=bytes(2 << 20)))
    assert names(small_disk / "spool" / "aside") == []
    assert list(small_disk.rglob("*.dcm")) == []
    ballast.unlink()
    assert publish(small_disk, ct(pixels=bytes(2 << 20))).outcome is Outcome.NEW


def test_free_room_is_what_the_disk_says(small_disk: Path) -> None:
    """In MiB, rounded down."""
    Spool(small_disk).open()
    (small_disk / "ballast").write_bytes(bytes(1 << 20))

    assert Spool(small_disk).free_mb() == 2
