"""Small disks of their own for the tests: soon full, out of inodes, or read-only."""

import functools
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.makers.programs import tidied_up

UNMOUNT = 'umount --lazy "$1"'


@functools.cache
def can_mount() -> bool:
    """Whether this process may mount a disk."""
    with TemporaryDirectory() as folder:
        done = subprocess.run(["mount", "-t", "tmpfs", "isocenter-test", folder], capture_output=True)
        if done.returncode == 0:
            subprocess.run(["umount", folder], check=True)
    return done.returncode == 0


@contextmanager
def small_disk(folder: Path, size_mb: int, inodes: int = 0) -> Iterator["SmallDisk"]:
    """A disk of that size in a folder, from entry to exit; inodes: how many files it holds, 0 for any number."""
    folder.mkdir(parents=True, exist_ok=True)
    options = f"size={size_mb}m" + (f",nr_inodes={inodes}" if inodes else "")
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "isocenter-test", folder], check=True)
    with tidied_up(UNMOUNT, folder):
        yield SmallDisk(folder)


class SmallDisk:
    """A disk that a test fills and empties."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._ballast = folder / "ballast"

    def fill(self, leave_bytes: int = 0) -> None:
        """Take all the room but so much."""
        with suppress(OSError), self._ballast.open("ab", buffering=0) as file:
            while True:
                file.write(bytes(1 << 12))
        if leave_bytes:
            with self._ballast.open("r+b") as file:
                file.truncate(max(self._ballast.stat().st_size - leave_bytes, 0))

    def fill_with_files(self) -> None:
        """Take every inode."""
        self._ballast.mkdir()
        with suppress(OSError):
            for number in range(1 << 20):
                (self._ballast / str(number)).touch()

    def make_room(self) -> None:
        """Give back what was taken."""
        if self._ballast.is_dir():
            for path in self._ballast.iterdir():
                path.unlink()
            self._ballast.rmdir()
        else:
            self._ballast.unlink()


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """The folder can be read and not be written, as on a disk that the system made read-only after an error."""
    subprocess.run(["mount", "--bind", folder, folder], check=True)
    with tidied_up(UNMOUNT, folder):
        subprocess.run(["mount", "-o", "remount,bind,ro", folder], check=True)
        yield
