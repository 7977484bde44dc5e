"""What the operating system says of a disk, in the node's own words."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from node.errors import SpoolFull

DISK_ERRNOS = frozenset(
    {
        errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.EFBIG, errno.ENXIO, errno.ENODEV, errno.ESTALE,
        errno.EMFILE, errno.ENFILE, errno.ENOMEM,
    }
)  # fmt: skip
"""What the operating system says where it has no room, or no sound disk, for one more file: all are tried again."""


@contextmanager
def disk_faults() -> Iterator[None]:
    """What the operating system says of the disk, as SpoolFull."""
    try:
        yield
    except OSError as error:
        if error.errno not in DISK_ERRNOS:
            raise
        raise SpoolFull(f"the spool cannot be written: {error.strerror}; make room, or check the disk") from error
