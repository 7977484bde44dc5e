"""Fetches a published model for this site: shown first, then downloaded, judged and installed, or not at all."""

import hashlib
import shutil
import tempfile
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import httpx

from ai.errors import CardInvalid
from ai.networks.archive import MOST_BYTES, unpack
from ai.networks.model import CARD
from node.errors import ConfigurationInvalid, NotFound
from node.jobs.installing import Offered, install
from node.jobs.published import Published

TIMEOUT_S = 30.0
CHUNK = 1 << 20


@dataclass(frozen=True)
class Coming:
    """What a person sees before anything is downloaded. size_mb: as the server says, None where it does not."""

    entry: Published
    size_mb: float | None


def fetch(
    entry: Published,
    models: Path,
    *,
    file: Path | None,
    wanted: Callable[[Coming], bool],
    agreed: Callable[[Offered], bool],
) -> Path | None:
    """The folder in which the model lies then, None where `wanted` or `agreed` said no.

    file: what the source gives, brought here by other means. wanted is asked before the download, agreed with the
    digest in sight. Raises NotFound where the source does not answer, CardInvalid for another file than the
    catalogue pins or one that cannot be used, ConfigurationInvalid where the model ships or is installed.
    """
    if entry.ships:
        raise ConfigurationInvalid(f"{entry.name} ships with Isocenter: there is nothing to fetch")
    models.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".fetching-", dir=models) as aside:
        content, folder = Path(aside) / "content", Path(aside) / "model"
        with _opened(entry, file) as (source, size):
            if not wanted(Coming(entry, None if size is None else size / 1e6)):
                return None
            with content.open("xb") as target:
                _copy(source, target)
        _check(entry, content)
        return install(_laid_out(entry, content, folder), models, agreed)


@contextmanager
def _opened(entry: Published, file: Path | None) -> Iterator[tuple[Iterator[bytes], int | None]]:
    """The content in pieces, and how many bytes there are."""
    if file is not None:
        if not file.is_file():
            raise NotFound(f"{file}: no such file; it must be what {entry.source} gives")
        with file.open("rb") as opened:
            yield iter(lambda: opened.read(CHUNK), b""), file.stat().st_size
        return
    try:
        with httpx.stream("GET", entry.source, follow_redirects=True, timeout=TIMEOUT_S) as answer:
            answer.raise_for_status()
            length = answer.headers.get("content-length", "")
            yield answer.iter_bytes(CHUNK), int(length) if length.isdecimal() else None
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        why = str(error).partition("\n")[0]
        raise NotFound(
            f"{entry.source} cannot be had: {why}. Where this machine has no way to it, download the file elsewhere: "
            f"isocenter models fetch {entry.name} --file FILE"
        ) from error


def _copy(pieces: Iterator[bytes], target: IO[bytes]) -> None:
    total = 0
    for piece in pieces:
        total += len(piece)
        if total > MOST_BYTES:
            raise CardInvalid(f"the source gives more than {MOST_BYTES >> 30} GiB, which no model has")
        target.write(piece)


def _check(entry: Published, content: Path) -> None:
    with content.open("rb") as opened:
        found = hashlib.file_digest(opened, "sha256").hexdigest()
    if entry.sha256 and found != entry.sha256:
        raise CardInvalid(
            f"{entry.name}: what came has the SHA-256 {found}, and the catalogue pins {entry.sha256}: its publisher "
            "has changed the file, or somebody else has; ask the publisher before you trust it"
        )


def _laid_out(entry: Published, content: Path, folder: Path) -> Path:
    """The model's folder: what came, and the catalogue's card."""
    folder.mkdir()
    text = entry.file.read_text(encoding="utf-8")
    if entry.folder is None:
        place = folder
        weights = folder / Path(str(tomllib.loads(text)["network"]["weights"])).name
        shutil.move(content, weights)
    else:
        unpack(content, folder)
        place = (folder / entry.folder).resolve()
        if not place.is_relative_to(folder.resolve()) or not place.is_dir():
            raise CardInvalid(
                f"{entry.name}: the archive holds no folder {entry.folder!r}; its publisher has changed it"
            )
    (place / CARD).write_text(text, encoding="utf-8")
    return place
