"""Copies a node's ledger and files while it runs, and puts them back so that both agree again."""

import json
import os
import shutil
import sqlite3
from collections.abc import Collection, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import sqlalchemy as sa

from node import __version__
from node.core.job import Stage, StudyEvent, StudyState
from node.errors import ConfigurationInvalid, LedgerUnusable, NotFound, NotPossible
from node.state import arrivals, postgres, schema, work
from node.state.dump import dump, load
from node.state.ledger import Ledger, note
from node.state.owner import NODE_ID, node_id

LEDGER, DUMP, NOTE = "ledger.sqlite", "ledger.dump", "backup.json"
BESIDE = ("-wal", "-shm", "-journal")
"""Ends of the names of what SQLite keeps beside a file: it takes it for the file's own, whichever that is."""
FILES = ("spool/instances/*/*.dcm", "work/j????????/**/*")
"""What is copied beside the ledger: received images, and what the stages made of them."""
GONE = "not in the backup that was restored: send it again"


@dataclass(frozen=True)
class Copied:
    """How many files were copied, and how many were there already from an earlier backup. unread: what of the
    configuration this user may not read."""

    copied: int
    kept: int
    unread: tuple[str, ...] = ()


@dataclass(frozen=True)
class Restored:
    """How many files were put back, and how many instances the ledger knows that the backup does not hold."""

    files: int
    missing: int


def back_up(home: Path, config: Path, target: Path, now: datetime, postgres_url: str = "") -> Copied:
    """Copy ledger, files and configuration into a folder, which may hold an earlier backup of this node.

    The ledger goes first: files that come later are found again when the backup is restored. Files never change once
    they have their name, so one that is there already is not copied again; one that the node has removed since is
    removed there too, or it would come back as a new image. postgres_url: of the ledger, where it is not the SQLite
    file of the home. Raises LedgerUnusable where that is damaged, ConfigurationInvalid where the folder holds another
    node's backup, or somebody's files and none: it is then as it was.
    """
    if not (home / ("spool" if postgres_url else LEDGER)).exists():
        words = f"no node has run in {home}, or its ledger is in PostgreSQL and state.database_url does not say where"
        raise NotFound(f"{words}: there is nothing to back up")
    _check_target(target, home, config)
    name_of_home, earlier = node_id(home), _told(target)
    if earlier not in ("", name_of_home):
        raise ConfigurationInvalid(
            f"{target} holds another node's backup, or that of a home that was lost: name another"
        )
    known = _known_paths(postgres_url or f"sqlite:///{home / LEDGER}")
    target.mkdir(mode=0o700, parents=True, exist_ok=True)
    name = DUMP if postgres_url else LEDGER
    aside = target / f"{name}.part"
    _remove(aside)
    aside.touch(mode=0o600)  # before anything is in it: the folder may be one that others can look into
    if postgres_url:
        dump(postgres_url, aside)
    else:
        _copy_sqlite(home / LEDGER, aside)
    (target / NOTE).unlink(missing_ok=True)  # unfinished until it is written again
    aside.replace(target / name)
    copied = kept = 0
    for path in _files(home):
        if _copy(home / path, target / path):
            copied += 1
        else:
            kept += 1
    if earlier:
        _remove_gone(home, target, known)
    unread = _copy_configuration(config, target / "config") if config.is_dir() else ()
    os.sync()
    told = {"version": __version__, "at": now.isoformat(), "files": copied + kept, "node": name_of_home}
    (target / NOTE).write_text(json.dumps(told))
    return Copied(copied, kept, unread)


def restore(source: Path, home: Path, now: datetime, postgres_url: str = "") -> Restored:
    """Put a backup into an empty home, whose node must not run, and let ledger and spool agree again.

    Files that the ledger does not know are indexed when the node starts. Instances that the ledger knows and the backup
    does not hold are marked, and their studies held, so that nothing is analysed in part without a word. postgres_url:
    of an empty database, for a backup that was made of one.
    """
    if not (source / NOTE).exists():
        raise NotFound(f"{source} holds no finished backup: {NOTE} is missing")
    if not (source / (DUMP if postgres_url else LEDGER)).exists():
        kind = "an SQLite file: leave" if postgres_url else "PostgreSQL: set"
        raise ConfigurationInvalid(f"the ledger in {source} is of {kind} state.database_url, and restore then")
    there = [name for name in (LEDGER, *(LEDGER + end for end in BESIDE)) if (home / name).exists()]
    if there:
        words = f"{home} holds a ledger already ({', '.join(there)}): move it away, or restore into another home"
        raise ConfigurationInvalid(words)
    if postgres_url and _has_tables(postgres_url):
        raise ConfigurationInvalid("the database holds a ledger already: restore into an empty one (createdb)")
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    count = sum(_copy(source / path, home / path) for path in _files(source))
    (home / "spool" / "boot-id").unlink(missing_ok=True)  # so that the start looks at every file
    if earlier := _told(source):
        (home / NODE_ID).write_text(earlier)  # it goes on from there, and its backups with it
    if postgres_url:
        load(source / DUMP, postgres_url)
        return Restored(count, _settle(postgres_url, home, now))
    aside = home / f"{LEDGER}.part"
    _remove(aside)
    shutil.copyfile(source / LEDGER, aside)
    aside.chmod(0o600)
    _check_sound(aside, source / LEDGER)
    missing = _settle(f"sqlite:///{aside}", home, now)
    aside.replace(home / LEDGER)
    return Restored(count, missing)


def _known_paths(url: str) -> frozenset[str]:
    """Files of instances and results that the ledger knows. Raises LedgerUnusable."""
    instance, result = schema.instance.c.path, schema.result.c.path
    query = sa.union_all(sa.select(instance).where(instance.is_not(None)), sa.select(result))
    with closing(Ledger(url)) as ledger, ledger.read() as connection:
        return frozenset(connection.execute(query).scalars())


def _told(folder: Path) -> str:
    """The home of which a folder holds a finished backup; empty where it holds none, or one that does not say."""
    with suppress(FileNotFoundError, ValueError):
        return str(json.loads((folder / NOTE).read_text()).get("node", ""))
    return ""


def _check_target(target: Path, home: Path, config: Path) -> None:
    """Raises ConfigurationInvalid where it lies in what is copied, or holds somebody's files and no backup, not even
    one that was begun; what file systems keep at their root does not count."""
    for folder, what in ((home, "home"), (config, "configuration")):
        if target.resolve().is_relative_to(folder.resolve()):
            raise ConfigurationInvalid(f"{target} lies in the {what} that is copied: name a folder on another disk")
    names = {path.name for path in target.iterdir()} if target.is_dir() else set()
    begun = {NOTE, *(f"{name}{end}" for name in (LEDGER, DUMP) for end in ("", ".part"))}
    if not names & begun and any(not one.startswith(".") and one != "lost+found" for one in names):
        raise ConfigurationInvalid(f"{target} holds other files, and no backup: name an empty folder, or a new one")


def _copy_sqlite(source: Path, target: Path) -> None:
    """Raises LedgerUnusable where the copy is not whole."""
    try:
        with closing(sqlite3.connect(source)) as ledger, closing(sqlite3.connect(target)) as copy:
            ledger.backup(copy)
            copy.execute("PRAGMA journal_mode=DELETE")
    except sqlite3.Error as error:
        words = f"the ledger {source} cannot be copied to {target} ({error}): look at both disks; `isocenter check`"
        raise LedgerUnusable(f"{words} tells whether it is damaged") from error
    _check_sound(target, source)


def _check_sound(copy: Path, of: Path) -> None:
    """Raises LedgerUnusable where the copy of a ledger is damaged, as that one is then."""
    try:
        with closing(sqlite3.connect(copy)) as ledger:
            (told,) = ledger.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.Error as error:
        told = str(error)
    if told != "ok":
        raise LedgerUnusable(f"the ledger {of} is damaged ({told}): restore a backup that was made before it was")


def _remove(ledger: Path) -> None:
    """Remove what an interrupted copy left, with what lies beside it."""
    for end in ("", *BESIDE):
        ledger.with_name(ledger.name + end).unlink(missing_ok=True)


def _has_tables(url: str) -> bool:
    with closing(Ledger(url)) as ledger, ledger.read() as connection:
        return bool(sa.inspect(connection).has_schema(postgres.SCHEMA))


def _settle(url: str, home: Path, now: datetime) -> int:
    """Bring the restored ledger up to date and mark what is not there; returns how many instances that is."""
    with closing(Ledger(url)) as ledger:
        ledger.migrate()
        missing = _mark_missing(ledger, home, now)
        _prepare_again(ledger, now)
        if ledger.engine.dialect.name == "sqlite":
            with ledger.engine.connect() as connection:
                connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    os.sync()
    return missing


def _files(folder: Path) -> Iterator[Path]:
    """Paths of files, relative to the folder."""
    for pattern in FILES:
        for path in folder.glob(pattern):
            if path.is_file():
                yield path.relative_to(folder)


def _remove_gone(home: Path, target: Path, known: Collection[str]) -> None:
    """Remove from a backup what is no longer in the home, unless the ledger knows it: then it was not the node that
    removed it, and the backup's is the only one left."""
    for path in list(_files(target)):
        if not (home / path).exists() and str(path) not in known:
            (target / path).unlink()
            for folder in (target / path).parents[: len(path.parts) - 2]:
                with suppress(OSError):  # it holds more
                    folder.rmdir()


def _copy(source: Path, target: Path) -> bool:
    """Copy a file under a name aside first; False where it is there already, or its source was removed meanwhile."""
    try:
        if target.exists() and target.stat().st_size == source.stat().st_size:
            return False
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        aside = target.with_name(f"{target.name}.part")
        shutil.copyfile(source, aside)
        aside.chmod(0o600)
        aside.replace(target)
    except FileNotFoundError:
        return False
    except OSError as error:  # its own words name the source, also where there is no room at the target
        words = f"{source} cannot be copied to {target} ({error.strerror}): look at both disks, and do it again"
        raise NotPossible(words) from error
    return True


def _copy_configuration(config: Path, target: Path) -> tuple[str, ...]:
    """Copy what this user may read; returns what else there is. A file that the system reads for the node, such as that
    of its environment, may be root's alone."""
    unread: list[str] = []
    for folder, _, names in os.walk(config, followlinks=True, onerror=lambda error: unread.append(str(error.filename))):
        place = target / Path(folder).relative_to(config)
        place.mkdir(parents=True, exist_ok=True)
        for name in names:
            source = Path(folder, name)
            try:
                shutil.copy2(source, place / name)
            except (PermissionError, FileNotFoundError, shutil.SpecialFileError):
                unread.append(str(source))
            except OSError as error:
                words = f"{source} cannot be copied to {place} ({error.strerror}): look at both disks, and do it again"
                raise NotPossible(words) from error
    return tuple(unread)


def _prepare_again(ledger: Ledger, now: datetime) -> None:
    """Let every unfinished job begin its run anew: while the files were copied the node went on, and removed what the
    ledger, copied before, still needs. The service enqueues them when it starts."""
    with ledger.write() as connection:
        for job in work.unfinished_jobs(connection):
            if job.stage is not Stage.PREPARE:
                work.prepare_again(connection, job, now)


def _mark_missing(ledger: Ledger, home: Path, now: datetime) -> int:
    table = schema.instance
    with ledger.read() as connection:
        rows = connection.execute(
            sa.select(table.c.id, table.c.path, table.c.study_id).where(table.c.path.is_not(None))
        ).all()
    # Between transactions: the disk may take longer than a database waits for who is silent within one.
    missing = [row for row in rows if not (home / row.path).exists()]
    with ledger.write() as connection:
        for row in missing:
            connection.execute(table.update().where(table.c.id == row.id).values(path=None, in_force=False, why=GONE))
        for identity in sorted({row.study_id for row in missing}):
            study = arrivals.get_study(connection, identity)
            if study.state is not StudyState.PURGED:
                arrivals.change_study(connection, study, StudyEvent.HELD, now, why=f"images are {GONE}")
        note(connection, now, "restored", f"{len(missing)} instances are missing")
    return len(missing)
