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
    if path.is_symlink() or not path.is_file():
        raise CardInvalid(f"{path}: the network's file is not there, or is a link; put the file itself there")
    if path.stat().st_size > LARGEST_BYTES:
        raise CardInvalid(f"{path}: {path.stat().st_size >> 30} GiB are more than any network has")
    content = path.read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise CardInvalid(
            f"{path}: its SHA-256 is {found}, and the card pins {sha256}; restore the file that was installed, or "
            "install the new one with `isocenter models install`"
        )
    return content
