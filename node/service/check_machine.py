"""Faults of the machine: its disk, its limits, its ports, and the processes that should run."""

import json
import os
import resource
import time
from collections.abc import Iterator
from pathlib import Path

from node.errors import AlreadyRunning, NotPossible
from node.service.asking import why_not_ready
from node.service.locks import claimed
from node.service.ports import open_listening
from node.settings import Configuration, NodeSettings
from node.state.disk import free_mb

Told = Iterator[tuple[str, str]]
NETWORK_FILE_SYSTEMS = frozenset({"nfs", "nfs4", "cifs", "smb3", "smbfs", "fuse.sshfs", "9p", "afs", "glusterfs"})
FEWEST_FILES = 1024
FEWEST_INODES = 10_000
ARRIVAL_LIMIT_S = 300.0
LEFT_ASIDE_S = 3600.0


def is_ours(home: Path) -> bool:
    """Whether this user may see what the node has there."""
    return os.access(home, os.R_OK | os.X_OK)


def is_running(home: Path) -> bool:
    """Whether a node runs in this home."""
    return home.exists() and bool(claimed(home))


def faults(configuration: Configuration) -> Told:
    """Everything that can be seen without the ledger."""
    settings = configuration.settings
    home = settings.state.home.absolute()
    if home.exists() and not is_ours(home):
        yield "home", f"this user may not look into {home}: call this as the user that runs the node"
        return
    if home.exists():
        yield from _home(home, has_sqlite=not settings.state.database_url)
        yield from _room(home, settings.intake.disk_reserve_mb, settings.intake.refuse_associations_mb)
        yield from _spool(home)
    elif not os.access(_existing(home), os.W_OK):
        yield (
            "home",
            f"{home} cannot be made: give this user the right to write in {_existing(home)}, or set state.home",
        )
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if files < FEWEST_FILES:
        yield (
            "open-files",
            f"only {files} files may be open: raise the limit to {FEWEST_FILES} (LimitNOFILE, ulimit -n)",
        )
    if is_running(home):
        yield from _processes(home, settings)
    else:
        yield "not-running", "no node runs in this home: start it with `isocenter serve`"
        yield from _port(settings.node.bind, settings.node.port, "node.port")
        yield from _port(settings.admin.bind, settings.admin.port, "admin.port")


def _home(home: Path, *, has_sqlite: bool) -> Told:
    if not os.access(home, os.W_OK | os.X_OK):
        yield "home", f"{home} cannot be written: give it to the user that runs the node"
    if home.stat().st_mode & 0o077:
        yield "home-open", f"{home} can be read by others, and holds patients' images: chmod 700 {home}"
    kind = file_system(home)
    if has_sqlite and kind in NETWORK_FILE_SYSTEMS:
        yield "network-disk", f"{home} is on {kind}, where SQLite loses data: use a local disk, or PostgreSQL"


def file_system(path: Path, mounts: Path = Path("/proc/mounts")) -> str:
    """Kind of the file system that a path is on; empty where that cannot be told."""
    best, kind = "", ""
    for line in mounts.read_text().splitlines():
        _, place, name, *_ = line.split()
        inside = place == "/" or path == Path(place) or Path(place) in path.parents
        if inside and len(place) >= len(best):
            best, kind = place, name
    return kind


def _room(home: Path, reserve_mb: int, refuse_mb: int) -> Told:
    disk, free = os.statvfs(home), free_mb(home)
    if free <= reserve_mb:
        yield "disk-full", f"{free} MB are free, the reserve is {reserve_mb}: images are refused (A700); make room"
    elif free <= refuse_mb:
        yield "disk-low", f"{free} MB are free, less than {refuse_mb}: associations are refused; make room"
    if disk.f_flag & os.ST_RDONLY:
        yield "read-only", f"the disk of {home} is read-only: images are refused (A700); check it, mount it anew"
    if disk.f_files and disk.f_favail < FEWEST_INODES:
        yield "inodes", f"only {disk.f_favail} files can still be made on the disk of {home}: make room"


def _spool(home: Path) -> Told:
    waiting = _older(home / "spool" / "new", ARRIVAL_LIMIT_S)
    if waiting:
        yield (
            "not-indexed",
            (
                f"{waiting} images have waited for {ARRIVAL_LIMIT_S / 60:.0f} minutes to be indexed: look whether the "
                "service process runs, and into its log"
            ),
        )
    left = _older(home / "spool" / "aside", LEFT_ASIDE_S)
    if left:
        yield "left-aside", f"{left} unfinished files are left in {home / 'spool' / 'aside'}: start the node anew"


def _older(folder: Path, than_s: float) -> int:
    if not folder.is_dir():
        return 0
    before = time.time() - than_s
    return sum(entry.stat().st_ctime < before for entry in os.scandir(folder) if entry.is_file())


def _processes(home: Path, settings: NodeSettings) -> Told:
    for folder in claimed(home):
        told = folder / "processes.json"
        for one in json.loads(told.read_text())["processes"] if told.exists() else ():
            if one["state"] != "ready":
                yield "process", f"{one['role']} {one['slot']} is {one['state']}: if it stays, look into the log"
            elif one["role"] == "service" and free_mb(home) > settings.intake.disk_reserve_mb:
                why = why_not_ready(settings.admin)
                if why:
                    yield "not-ready", f"the service cannot work: {why}"


def _port(bind: str, port: int, setting: str) -> Told:
    try:
        open_listening(bind, port, setting).close()
    except (AlreadyRunning, NotPossible) as error:
        yield setting.replace(".", "-"), str(error)


def _existing(path: Path) -> Path:
    return next(one for one in (path, *path.parents) if one.exists())
