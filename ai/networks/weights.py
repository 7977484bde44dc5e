"""Reads the file of a network whole, and only if it is the one that the card pins."""

import hashlib
from pathlib import Path

from ai.errors import CardInvalid

LARGEST_BYTES = 16 << 30
"""No network of the field comes near; what is larger is not read at all."""


def read_pinned(path: Path, sha256: str) -> bytes:
    """The file's bytes: what is returned is what was digested, whatever happens to the file meanwhile.

    Raises CardInvalid where it is absent, a link, far too large, or another file than the card pins.
    """
    _check_readable(path)
    content = path.read_bytes()
    _check_digest(path, hashlib.sha256(content).hexdigest(), sha256)
    return content


def check_pinned(path: Path, sha256: str) -> None:
    """Raises CardInvalid as `read_pinned` does, and keeps little of the file in memory."""
    _check_readable(path)
    with path.open("rb") as file:
        _check_digest(path, hashlib.file_digest(file, "sha256").hexdigest(), sha256)


def _check_readable(path: Path) -> None:
    if path.is_symlink() or not path.is_file():
        raise CardInvalid(f"{path}: the network's file is not there, or is a link; put the file itself there")
    if path.stat().st_size > LARGEST_BYTES:
        raise CardInvalid(f"{path}: {path.stat().st_size >> 30} GiB are more than any network has")


def _check_digest(path: Path, found: str, sha256: str) -> None:
    if found != sha256:
        raise CardInvalid(
            f"{path}: its SHA-256 is {found}, and the card pins {sha256}; restore the file that was installed, or "
            "install the new one with `isocenter models install`"
        )
