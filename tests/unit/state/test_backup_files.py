"""A backup is whole while the node goes on, and a restored home agrees with itself."""

import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from node.actions import Operator
from node.core.identity import StudyUID
from node.core.job import JobState, Stage, StudyState
from node.errors import ConfigurationInvalid, LedgerUnusable, NotFound, NotPossible
from node.state import schema
from node.state.backup import GONE, Copied, Restored, back_up, restore
from node.state.ledger import Ledger
from node.state.spool import Spool
from tests.makers.disks import small_disk
from tests.makers.ledger import Books, books, ct_slice
from tests.makers.studies import make_study


@pytest.fixture
def found(tmp_path: Path) -> Iterator[Books]:
    """Three images, in the ledger and in the spool."""
    (tmp_path / "home").mkdir()
    with books(tmp_path / "home") as made:
        for number in (1, 2, 3):
            publish(made, number)
            made.arrive(ct_slice(number))
        yield made


def publish(found: Books, number: int) -> Path:
    facts = ct_slice(number)
    path = found.home / "spool" / "instances" / facts.study_uid / f"{facts.sop_instance_uid}.dcm"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"image %d" % number)
    return path


def rows(home: Path, table: object) -> list:
    with closing(Ledger(f"sqlite:///{home / 'ledger.sqlite'}")) as ledger, ledger.read() as connection:
        return connection.execute(table.select()).all()


def test_what_was_backed_up_comes_back(found: Books, tmp_path: Path) -> None:
    made = back_up(found.home, tmp_path / "config", tmp_path / "backup", found.clock())
    put_back = restore(tmp_path / "backup", tmp_path / "new", found.clock())

    assert (made, put_back) == (Copied(3, 0), Restored(3, 0))
    assert [row.path for row in rows(tmp_path / "new", schema.instance)] == [
        row.path for row in rows(found.home, schema.instance)
    ]
    assert {path.read_bytes() for path in (tmp_path / "new" / "spool").rglob("*.dcm")} == {
        b"image 1", b"image 2", b"image 3",
    }  # fmt: skip


def test_a_second_backup_copies_only_what_is_new(found: Books, tmp_path: Path) -> None:
    back_up(found.home, tmp_path / "config", tmp_path / "backup", found.clock())
    publish(found, 4)

    assert back_up(found.home, tmp_path / "config", tmp_path / "backup", found.clock()) == Copied(1, 3)


def test_images_that_the_ledger_does_not_know_are_indexed_at_the_start(found: Books, tmp_path: Path) -> None:
    """They came between the copy of the ledger and that of the files."""
    path = publish(found, 4)
    back_up(found.home, tmp_path / "config", tmp_path / "backup", found.clock())
    restore(tmp_path / "backup", tmp_path / "new", found.clock())
    spool = Spool(tmp_path / "new")
    swept = spool.open()

    assert swept
    assert path.name in {one.path.name for one in spool.arrivals()}
    assert spool.holds(StudyUID(ct_slice(4).study_uid))


def test_images_that_the_backup_lacks_hold_their_study(found: Books, tmp_path: Path) -> None:
    back_up(found.home, tmp_path / "config", tmp_path / "backup", found.clock())
    next((tmp_path / "backup" / "spool").rglob("*.dcm")).unlink()
    put_back = restore(tmp_path / "backup", tmp_path / "new", found.clock())
    (study,) = rows(tmp_path / "new", schema.study)

    assert put_back == Restored(2, 1)
    assert (study.state, study.why) == (StudyState.QUARANTINED.value, f"images are {GONE}")
    assert [row.in_force for row in rows(tmp_path / "new", schema.instance)].count(False) == 1


def test_a_home_that_holds_a_ledger_is_not_overwritten(found: Books, tmp_path: Path) -> None:
    back_up(found.home, tmp_path / "config", tmp_path / "backup", found.clock())

    with pytest.raises(ConfigurationInvalid, match="holds a ledger already"):
        restore(tmp_path / "backup", found.home, found.clock())


@pytest.mark.parametrize("left", ["ledger.sqlite-wal", "ledger.sqlite-shm"])
def test_a_ledger_is_not_put_beside_what_another_one_left(found: Books, tmp_path: Path, left: str) -> None:
    """As where only the file of a damaged one was moved away: SQLite takes the rest for the new one's own."""
    back_up(found.home, tmp_path / "config", tmp_path / "backup", found.clock())
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / left).write_bytes(b"of another ledger")

    with pytest.raises(ConfigurationInvalid, match=f"holds a ledger already .{left}."):
        restore(tmp_path / "backup", tmp_path / "new", found.clock())


def test_what_an_interrupted_restore_left_is_not_taken_for_the_next_ones(found: Books, tmp_path: Path) -> None:
    """A restore of an earlier backup that was killed left its journal, which SQLite would play into the new copy."""
    back_up(found.home, tmp_path / "config", tmp_path / "backup", found.clock())
    (tmp_path / "new").mkdir()
    aside = tmp_path / "new" / "ledger.sqlite.part"
    shutil.copy(tmp_path / "backup" / "ledger.sqlite", aside)
    with closing(Ledger(f"sqlite:///{aside}")) as other:
        with other.write() as connection:
            connection.execute(schema.study.update().values(why="of another time"))
        journal = aside.with_name("ledger.sqlite.part-wal").read_bytes()
    assert journal
    aside.with_name("ledger.sqlite.part-wal").write_bytes(journal)
    restore(tmp_path / "backup", tmp_path / "new", found.clock())
    (study,) = rows(tmp_path / "new", schema.study)

    assert study.why == ""


def damage(ledger: Path, page: int = 2) -> None:
    """Overwrite pages in the middle of a file."""
    with ledger.open("r+b") as file:
        file.seek((page - 1) * 4096)
        file.write(b"\xff" * 4096)


def emptied(found: Books) -> Path:
    """The ledger's file, with nothing beside it and nobody who has it open."""
    with found.ledger.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    found.queue.close()
    found.ledger.close()
    return found.home / "ledger.sqlite"


@pytest.mark.parametrize("page", [1, 2, 30])
def test_a_damaged_ledger_does_not_take_the_place_of_the_copy_before_it(
    found: Books, tmp_path: Path, page: int
) -> None:
    back_up(found.home, tmp_path / "config", tmp_path / "backup", found.clock())
    damage(emptied(found), page)

    with pytest.raises(LedgerUnusable, match=r"ledger\.sqlite"):
        back_up(found.home, tmp_path / "config", tmp_path / "backup", found.clock())
    assert restore(tmp_path / "backup", tmp_path / "new", found.clock()) == Restored(3, 0)


def test_a_damaged_backup_is_not_put_back(found: Books, tmp_path: Path) -> None:
    back_up(found.home, tmp_path / "config", tmp_path / "backup", found.clock())
    damage(tmp_path / "backup" / "ledger.sqlite", 30)

    with pytest.raises(LedgerUnusable, match=r"backup/ledger\.sqlite is damaged"):
        restore(tmp_path / "backup", tmp_path / "new", found.clock())
    assert not (tmp_path / "new" / "ledger.sqlite").exists()


def test_what_the_node_removed_does_not_come_back(found: Books, tmp_path: Path) -> None:
    """A restored image that the ledger does not know would be indexed as a new one, analysed and sent."""
    result = found.home / "work" / "jabcdefgh" / "1" / "encode-3" / "seg.dcm"
    result.parent.mkdir(parents=True)
    result.write_bytes(b"result")
    back_up(found.home, tmp_path / "config", tmp_path / "backup", found.clock())
    (study,) = rows(found.home, schema.study)
    Operator(found.ledger, found.queue).erase(study.id, found.home, found.clock())
    shutil.rmtree(result.parents[2])
    back_up(found.home, tmp_path / "config", tmp_path / "backup", found.clock())

    assert restore(tmp_path / "backup", tmp_path / "new", found.clock()) == Restored(0, 0)
    assert list((tmp_path / "backup").rglob("*.dcm")) == []
    assert not (tmp_path / "backup" / "work" / "jabcdefgh").exists()


def test_what_somebody_else_removed_is_kept(found: Books, tmp_path: Path) -> None:
    """The ledger knows it still: the backup's is the last copy."""
    back_up(found.home, tmp_path / "config", tmp_path / "backup", found.clock())
    next((found.home / "spool").rglob("*.dcm")).unlink()
    back_up(found.home, tmp_path / "config", tmp_path / "backup", found.clock())

    assert restore(tmp_path / "backup", tmp_path / "new", found.clock()) == Restored(3, 0)


def test_a_result_that_somebody_else_removed_is_kept(found: Books, tmp_path: Path) -> None:
    make_study(found, "other")
    path = "work/jabcdefgh/1/encode-3/seg.dcm"
    with found.ledger.write() as connection:
        connection.execute(schema.result.update().values(path=path))
    (found.home / path).parent.mkdir(parents=True)
    (found.home / path).write_bytes(b"result")
    back_up(found.home, tmp_path / "config", tmp_path / "backup", found.clock())
    (found.home / path).unlink()
    back_up(found.home, tmp_path / "config", tmp_path / "backup", found.clock())

    assert (tmp_path / "backup" / path).exists()


@pytest.mark.parametrize(("state", "stage"), [(JobState.PREPARED, Stage.INFER), (JobState.INFERRED, Stage.ENCODE)])
def test_an_unfinished_job_begins_again(found: Books, tmp_path: Path, state: JobState, stage: Stage) -> None:
    """The node went on between the copy of its ledger and that of its files, and removed what it needed no more."""
    make_study(found, "other")
    with found.ledger.write() as connection:
        connection.execute(schema.job.update().values(state=state.value, stage=stage.value))
    (before,) = rows(found.home, schema.job)
    back_up(found.home, tmp_path / "config", tmp_path / "backup", found.clock())
    restore(tmp_path / "backup", tmp_path / "new", found.clock())

    (job,) = rows(tmp_path / "new", schema.job)
    assert (job.run, job.stage, job.state, job.turn) == (before.run, "prepare", "queued", before.turn + 1)


def test_a_finished_job_stays_as_it_is(found: Books, tmp_path: Path) -> None:
    make_study(found, "other")
    back_up(found.home, tmp_path / "config", tmp_path / "backup", found.clock())
    restore(tmp_path / "backup", tmp_path / "new", found.clock())

    assert rows(tmp_path / "new", schema.job) == rows(found.home, schema.job)


def test_a_new_node_does_not_take_the_place_of_a_lost_ones_backup(found: Books, tmp_path: Path) -> None:
    """Its disk was lost, a new node was started in the same place, and the nightly backup went on."""
    back_up(found.home, tmp_path / "config", tmp_path / "backup", found.clock())
    (tmp_path / "fresh").mkdir()
    with books(tmp_path / "fresh") as fresh, pytest.raises(ConfigurationInvalid, match="another node's backup"):
        back_up(fresh.home, tmp_path / "config", tmp_path / "backup", fresh.clock())

    assert restore(tmp_path / "backup", tmp_path / "new", found.clock()) == Restored(3, 0)


def test_a_restored_node_goes_on_with_its_backup(found: Books, tmp_path: Path) -> None:
    back_up(found.home, tmp_path / "config", tmp_path / "backup", found.clock())
    restore(tmp_path / "backup", tmp_path / "new", found.clock())

    assert back_up(tmp_path / "new", tmp_path / "config", tmp_path / "backup", found.clock()) == Copied(0, 3)


def test_a_backup_that_does_not_say_whose_it_is_loses_nothing(found: Books, tmp_path: Path) -> None:
    """One by an earlier version, or one that was interrupted."""
    back_up(found.home, tmp_path / "config", tmp_path / "backup", found.clock())
    (tmp_path / "backup" / "backup.json").write_text('{"version": "0.1"}')
    (study,) = rows(found.home, schema.study)
    Operator(found.ledger, found.queue).erase(study.id, found.home, found.clock())
    back_up(found.home, tmp_path / "config", tmp_path / "backup", found.clock())

    assert len(list((tmp_path / "backup").rglob("*.dcm"))) == 3


def test_what_is_none_of_the_nodes_stays_in_the_folder(found: Books, tmp_path: Path) -> None:
    """Somebody's own folder, which holds one that is called like ours."""
    own = tmp_path / "backup" / "work" / "thesis" / "1" / "chapter.txt"
    back_up(found.home, tmp_path / "config", tmp_path / "backup", found.clock())
    own.parent.mkdir(parents=True)
    own.write_text("years of it")
    back_up(found.home, tmp_path / "config", tmp_path / "backup", found.clock())

    assert own.exists()


@pytest.mark.parametrize("made", ["thesis.txt", "config/node.toml", "spool/instances/1/1.dcm"])
def test_a_folder_that_is_no_backup_is_not_taken_for_one(found: Books, tmp_path: Path, made: str) -> None:
    """A slip in the path would mix ledger, images and configuration with somebody's files, and write over some."""
    other = tmp_path / "backup" / made
    other.parent.mkdir(parents=True)
    other.write_text("somebody's")

    with pytest.raises(ConfigurationInvalid, match="holds other files, and no backup"):
        back_up(found.home, tmp_path / "config", tmp_path / "backup", found.clock())

    assert [path for path in (tmp_path / "backup").rglob("*") if path.is_file()] == [other]


@pytest.mark.parametrize("there", ["lost+found", ".snapshot"])
def test_a_disk_of_its_own_is_an_empty_folder(found: Books, tmp_path: Path, there: str) -> None:
    """What file systems keep at their root is nobody's."""
    (tmp_path / "backup" / there).mkdir(parents=True)

    assert back_up(found.home, tmp_path / "config", tmp_path / "backup", found.clock()) == Copied(3, 0)


@pytest.mark.parametrize("left", [["ledger.sqlite.part"], ["ledger.sqlite", "spool/instances/1/1.dcm"]])
def test_a_backup_that_was_interrupted_is_gone_on_with(found: Books, tmp_path: Path, left: list[str]) -> None:
    for name in left:
        (tmp_path / "backup" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "backup" / name).touch()

    assert back_up(found.home, tmp_path / "config", tmp_path / "backup", found.clock()) == Copied(3, 0)


@pytest.mark.parametrize("where", [".", "work/backup", "../home/backup"])
def test_a_home_is_not_copied_into_itself(found: Books, tmp_path: Path, where: str) -> None:
    """The copy of the ledger would take the place of the one that is in use."""
    before = (found.home / "ledger.sqlite").stat().st_ino

    with pytest.raises(ConfigurationInvalid, match="lies in the home"):
        back_up(found.home, tmp_path / "config", found.home / where, found.clock())

    assert (found.home / "ledger.sqlite").stat().st_ino == before


def test_a_configuration_is_not_copied_into_itself(found: Books, tmp_path: Path) -> None:
    """Nor without end into the copy of the copy."""
    (tmp_path / "config").mkdir()

    with pytest.raises(ConfigurationInvalid, match="lies in the configuration"):
        back_up(found.home, tmp_path / "config", tmp_path / "config" / "backup", found.clock())


def test_nobody_else_reads_the_patients_of_a_backup(found: Books, tmp_path: Path) -> None:
    """In a folder that was there already, and that others can look into."""
    target = tmp_path / "backup"
    target.mkdir()
    target.chmod(0o755)
    back_up(found.home, tmp_path / "config", target, found.clock())

    readable = [one.name for one in target.rglob("*") if one.is_file() and one.stat().st_mode & 0o077]
    assert readable == ["backup.json"]


def test_an_unfinished_backup_is_not_restored(found: Books, tmp_path: Path) -> None:
    back_up(found.home, tmp_path / "config", tmp_path / "backup", found.clock())
    (tmp_path / "backup" / "backup.json").unlink()

    with pytest.raises(NotFound, match="holds no finished backup"):
        restore(tmp_path / "backup", tmp_path / "new", found.clock())


def test_what_is_written_meanwhile_does_not_tear_the_ledger(found: Books, tmp_path: Path) -> None:
    """A transaction that is open during the backup is not in it, and the copy is sound."""
    with found.ledger.write() as connection:
        connection.execute(schema.study.update().values(why="half done"))
        back_up(found.home, tmp_path / "config", tmp_path / "backup", found.clock())
    shutil.rmtree(tmp_path / "new", ignore_errors=True)
    restore(tmp_path / "backup", tmp_path / "new", found.clock())
    (study,) = rows(tmp_path / "new", schema.study)

    assert study.why == ""


def test_what_of_the_configuration_is_roots_alone_is_told_and_the_backup_is_finished(
    found: Books, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file with the database's password is read by systemd, and not by the node's user, who makes backups."""
    config = tmp_path / "config"
    (config / "models").mkdir(parents=True)
    (config / "models" / "a.toml").write_text("a")
    (config / "environment").write_text("ISOCENTER_DATABASE_URL=…")
    copy2 = shutil.copy2

    def copy(source: Path, target: Path) -> Path:
        if source.name == "environment":
            raise PermissionError(13, "Permission denied", str(source))
        return copy2(source, target)

    monkeypatch.setattr(shutil, "copy2", copy)
    made = back_up(found.home, config, tmp_path / "backup", found.clock())

    assert made == Copied(3, 0, (str(config / "environment"),))
    assert (tmp_path / "backup" / "config" / "models" / "a.toml").read_text() == "a"
    assert restore(tmp_path / "backup", tmp_path / "new", found.clock()) == Restored(3, 0)


@pytest.mark.real("mounts")
def test_a_full_disk_of_backups_is_named_with_the_one_that_is_copied(found: Books, tmp_path: Path) -> None:
    (found.home / "work" / "j12345678").mkdir(parents=True)
    (found.home / "work" / "j12345678" / "seg.dcm").write_bytes(bytes(3 << 20))
    (tmp_path / "disk").mkdir()
    with small_disk(tmp_path / "disk", 2), pytest.raises(NotPossible) as raised:
        back_up(found.home, tmp_path / "config", tmp_path / "disk" / "backup", found.clock())

    assert str(tmp_path / "disk" / "backup") in str(raised.value)
    assert "No space left on device" in str(raised.value)
