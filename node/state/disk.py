"""What the operating system says of a disk, in the node's own words."""

import errno
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from node.errors import SpoolFull

DISK_ERRNOS = frozenset(
    {
        errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.EFBIG, errno.ENXIO, errno.ENODEV, errno.ESTALE,
        errno.EMFILE, errno.ENFILE, errno.ENOMEM,
    }
)  # fmt: skip
"""What the operating system says where it has no room, or no sound disk, for one more file: all are tried again."""

NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS})
"""Of these, what says nothing about who wanted to write: it goes on once somebody makes room."""


def free_mb(folder: Path) -> int:
    """Room that is left on a folder's disk, in MiB."""
    disk = os.statvfs(folder)
    return disk.f_bavail * disk.f_frsize >> 20


class _DiskFaults(AbstractContextManager[None]):
    """Holds nothing, so that one serves all. Every fragment of an instance passes here: a generator costs four times
    as much."""

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, OSError) and error.errno in DISK_ERRNOS:
            raise SpoolFull(f"the spool cannot be written: {error.strerror}; make room, or check the disk") from error


_DISK_FAULTS = _DiskFaults()


def disk_faults() -> AbstractContextManager[None]:
    """What the operating system says of the disk, as SpoolFull."""
    return _DISK_FAULTS


@contextmanager
def room_needed() -> Iterator[None]:
    """That a disk is full or read-only, as SpoolFull; every other fault as it is."""
    try:
        yield
    except OSError as error:
        if error.errno not in NO_ROOM:
            raise
        raise SpoolFull(f"there is no room to work ({error.strerror}): make room on the disk") from error
