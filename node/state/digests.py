"""Digest of an image's pixel data as it lies in the file: the same in Implicit and Explicit VR."""

import hashlib
from pathlib import Path

from node.state.part10 import opened

CHUNK_BYTES = 1 << 20


def pixels_sha256(path: Path) -> str | None:
    """SHA-256 of the pixel element's value; None where there is none, or a deflated one is too large to be had whole.

    A sender may write a data set anew in another VR encoding, which changes its bytes and nothing it says: this digest
    stays. Raises Unreadable as state.header does.
    """
    total = hashlib.sha256()
    with opened(path, []) as file:
        if file.pixels is None or not file.whole:
            return None
        file.stream.seek(file.pixels.offset)
        left = None if file.pixels.is_encapsulated else file.pixels.length
        while left is None or left > 0:
            chunk = file.stream.read(CHUNK_BYTES if left is None else min(CHUNK_BYTES, left))
            if not chunk:
                break
            total.update(chunk)
            left = None if left is None else left - len(chunk)
    return total.hexdigest()
