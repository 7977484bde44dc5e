"""Looks into and unpacks archives that strangers made: names, links and sizes are judged before anything is written."""

import io
import shutil
import stat
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from ai.errors import CardInvalid

MOST_MEMBERS = 10_000
MOST_BYTES = 16 << 30
BOMB_RATIO = 200
"""Weights hardly shrink; text shrinks tenfold. What unfolds further than this is made to fill a disk."""
WHOLE_RATIO, SMALL_WHOLE_BYTES = 20, 64 << 20
"""Of all members together: many small ones would else fill the memory into which they are read."""
LONGEST_NAME = 255
"""Bytes of one part of a path, on every file system in use."""
SMALL_BYTES = 1 << 20
"""Members below this may unfold as they like: a file of zeros is no attack."""


def checked_members(archive: zipfile.ZipFile, name: str) -> list[zipfile.ZipInfo]:
    """The files of an archive. Raises CardInvalid for names that leave the folder or no file can have, links, doubles,
    bombs and what is not packed as zip archives are.
    """
    members = [one for one in archive.infolist() if not one.is_dir()]
    _check_whole(members, name)
    seen: set[str] = set()
    folders = {outer.as_posix().casefold() for one in members for outer in PurePosixPath(one.filename).parents}
    for one in members:
        path = PurePosixPath(one.filename)
        if not path.parts or max(len(part.encode()) for part in path.parts) > LONGEST_NAME:
            raise CardInvalid(f"{name}: holds {one.filename!r}, which no file can be called")
        if path.is_absolute() or ".." in path.parts or "\\" in one.filename or ":" in path.parts[0]:
            raise CardInvalid(f"{name}: holds {one.filename!r}, a name that leads out of its folder")
        kind = stat.S_IFMT(one.external_attr >> 16)
        if kind not in (0, stat.S_IFREG):
            raise CardInvalid(f"{name}: {one.filename!r} is a link or a device, not a file")
        if one.flag_bits & 0x1:
            raise CardInvalid(f"{name}: {one.filename!r} is encrypted")
        if one.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise CardInvalid(f"{name}: {one.filename!r} is packed in a way other than deflate; pack it anew")
        if one.file_size > max(SMALL_BYTES, one.compress_size * BOMB_RATIO):
            raise CardInvalid(f"{name}: {one.filename!r} unfolds more than {BOMB_RATIO} times")
        if path.as_posix().casefold() in seen or path.as_posix().casefold() in folders:
            raise CardInvalid(f"{name}: holds {one.filename!r} twice")
        seen.add(path.as_posix().casefold())
    return members


def _check_whole(members: Sequence[zipfile.ZipInfo], name: str) -> None:
    whole, packed = sum(one.file_size for one in members), sum(one.compress_size for one in members)
    if len(members) > MOST_MEMBERS or whole > MOST_BYTES:
        raise CardInvalid(f"{name}: unfolds to more than {MOST_MEMBERS} files or {MOST_BYTES >> 30} GiB")
    if whole > max(SMALL_WHOLE_BYTES, packed * WHOLE_RATIO):
        raise CardInvalid(f"{name}: its files together unfold more than {WHOLE_RATIO} times")


def read_checked(content: bytes, name: str) -> tuple[io.BytesIO, dict[str, bytes]]:
    """An archive made anew of the files that are judged here, and these files by name.

    Whoever opens it next reads what was judged: two readers of one archive can be made to see different files in it.
    """
    clean, files = io.BytesIO(), {}
    with (
        _whole(name),
        zipfile.ZipFile(io.BytesIO(content)) as archive,
        zipfile.ZipFile(clean, "w", zipfile.ZIP_STORED) as copy,
    ):
        for one in checked_members(archive, name):
            files[one.filename] = archive.read(one)
            copy.writestr(one.filename, files[one.filename])
    clean.seek(0)
    return clean, files


def unpack(source: Path, folder: Path) -> None:
    """Unpack a zip archive into an empty folder. Raises CardInvalid as checked_members does."""
    with _whole(source.name), zipfile.ZipFile(source) as archive:
        for one in checked_members(archive, source.name):
            target = folder / one.filename
            target.parent.mkdir(parents=True, exist_ok=True)
            with archive.open(one) as content, target.open("xb") as file:
                shutil.copyfileobj(content, file, 1 << 20)


@contextmanager
def _whole(name: str) -> Iterator[None]:
    """Raises CardInvalid where an archive that is read inside is cut off or damaged."""
    try:
        yield
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise CardInvalid(f"{name}: is not a whole zip archive: {error}") from error


def copy_folder(source: Path, folder: Path) -> None:
    """Copy a model's files into an empty folder. Raises CardInvalid for links and for what is no file."""
    for one in plain_files(source):
        target = folder / one.relative_to(source)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(one, target, follow_symlinks=False)


def plain_files(folder: Path) -> Sequence[Path]:
    """Every file below a folder, in order. Raises CardInvalid for links and for what is no file."""
    found = []
    for one in sorted(folder.rglob("*")):
        if one.is_symlink() or not (one.is_file() or one.is_dir()):
            raise CardInvalid(f"{one}: is a link or a device, not a file")
        if one.is_file():
            found.append(one)
    return found
