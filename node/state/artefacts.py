"""Folders for what the stages make: written by one attempt, made durable, then adopted by the ledger."""

import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from node.state.work import Ticket

MODE = 0o700


def new_folder(home: Path, ticket: Ticket, attempt_id: int) -> Path:
    """An empty folder for one attempt; its path holds job, run and attempt, so that no other attempt shares it.

    Where one lies there, it was made under a ledger that was lost since: the one in use has not given that number yet.
    """
    return fresh_folder(home, ticket.job_id, ticket.run, f"{ticket.stage.value}-{attempt_id}")


def fresh_folder(home: Path, job_id: str, run: int, name: str) -> Path:
    """An empty folder for what is made of a run beside the stages; what an attempt left there that died is removed."""
    folder = home / "work" / job_id / str(run) / name
    discard(folder)
    folder.mkdir(mode=MODE, parents=True)
    return folder


def make_durable(folder: Path, home: Path) -> None:
    """Flush every file below `folder`, the folders themselves, and those between it and `home`."""
    for place, _, names in os.walk(folder, topdown=False):
        for name in names:
            _flush(Path(place) / name, os.O_RDONLY)
        _flush(Path(place), os.O_RDONLY | os.O_DIRECTORY)
    for parent in folder.parents:
        _flush(parent, os.O_RDONLY | os.O_DIRECTORY)
        if parent == home:
            return


@contextmanager
def whole(folder: Path) -> Iterator[None]:
    """Whatever does not come to its end leaves nothing in a folder: half a volume may be what fills the disk."""
    with ExitStack() as unless_whole:
        unless_whole.callback(discard, folder)
        yield
        unless_whole.pop_all()


def discard(folder: Path) -> None:
    """Remove a folder that no run needs any more; nothing happens where it is gone already."""
    shutil.rmtree(folder, ignore_errors=True)


def _flush(path: Path, flags: int) -> None:
    handle = os.open(path, flags)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
