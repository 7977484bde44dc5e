"""Who may run what in a home: locks that the kernel lets go of when their holder dies, however it dies."""

import fcntl
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TextIO

from node.errors import AlreadyRunning, NotPossible

OWNERS = frozenset({"receiver", "service"})
"""Roles that own the home's spool: they run on one host."""

TOLD = "processes.json"
"""In its folder a supervisor says what it runs."""

TAKE_PATIENCE_S = 1.0
"""A lock is tried for so long, because `is_held` of another process may hold it for a moment."""


def host_name() -> str:
    """This host's name, under which its processes take work."""
    return socket.gethostname()


@contextmanager
def claim(home: Path, roles: Sequence[str]) -> Iterator[Path]:
    """Hold what these roles need; yields the folder in which their supervisor says what it runs.

    Receiver and service need the home. Worker and model need this host's name within it, because what takes work must
    be the only one of its name; so several hosts may share a home (on PostgreSQL), each with workers of its own.
    Raises AlreadyRunning, NotPossible where the home cannot be written.
    """
    with ExitStack() as held:
        try:
            folder = _claimed_in(home, roles, held)
        except OSError as error:
            # Not the configuration's fault, with which a service manager does not try again: a disk may come later.
            raise NotPossible(
                f"{home} cannot be used as state.home ({error.filename}: {error.strerror}): let it be a folder of the "
                "node's own user, on a disk that can be written, or set ISOCENTER_HOME"
            ) from error
        yield folder


def _claimed_in(home: Path, roles: Sequence[str], held: ExitStack) -> Path:
    run = _folder(home / "run")
    home.chmod(0o700)
    if OWNERS.intersection(roles):
        held.enter_context(_lock(run, f"another node is running in {home}; stop it, or set ISOCENTER_HOME"))
    if OWNERS.issuperset(roles):
        return run
    own = _folder(run / host_name())
    words = f"workers of another node run in {home} as {host_name()}; stop them, or give this host another name"
    held.enter_context(_lock(own, words))
    (own / TOLD).unlink(missing_ok=True)  # what an earlier supervisor told
    return run if OWNERS.intersection(roles) else own


def claimed(home: Path) -> list[Path]:
    """The folders of supervisors that run in this home, on whichever host: the home's own first."""
    folders = [home / "run", *sorted(path.parent for path in (home / "run").glob("*/lock"))]
    return [folder for folder in folders if (folder / "lock").exists() and is_held(folder)]


def is_held(folder: Path) -> bool:
    """Whether a supervisor holds this folder."""
    with (folder / "lock").open("r+") as lock:
        return not _taken(lock)


@contextmanager
def _lock(folder: Path, words: str) -> Iterator[None]:
    deadline = time.monotonic() + TAKE_PATIENCE_S
    with (folder / "lock").open("w") as lock:
        while not _taken(lock):
            if time.monotonic() > deadline:
                raise AlreadyRunning(words)
            time.sleep(0.02)
        yield


def _taken(lock: TextIO) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _folder(path: Path) -> Path:
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    return path
