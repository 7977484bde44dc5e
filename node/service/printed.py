"""Keeps what a model worker prints: in two files of bounded size, for a bounded time, for whoever runs the node."""

import os
import select
import threading
import time
from contextlib import suppress
from pathlib import Path

from node.core.allowance import Allowance

MOST_BYTES, PER_S = 256 << 10, 60.0
"""A job that prints without end fills neither the disk nor the next job's place."""
FILE_BYTES = 1 << 20
"""From there on the file becomes the one before."""
KEPT_S = 2 * 86400.0
LOOK_S = 60.0
CHUNK = 65536


def keep_printed(pipe: int, path: Path) -> threading.Thread:
    """Write what comes through the pipe until its end, in a thread that also closes it."""
    thread = threading.Thread(target=_keep, args=(pipe, path), name=path.name, daemon=True)
    thread.start()
    return thread


def _keep(pipe: int, path: Path) -> None:
    allowance, left_out = Allowance(MOST_BYTES, PER_S), 0
    while True:
        ready, _, _ = select.select([pipe], [], [], LOOK_S)
        said = os.read(pipe, CHUNK) if ready else b""
        allowed = allowance.take(len(said), time.monotonic())
        if left_out and (allowed or not said):
            _append(path, f"\n… {left_out} more bytes left out\n".encode())
            left_out = 0
        _append(path, said[:allowed])
        left_out += len(said) - allowed
        if ready and not said:
            break
        if not ready:
            _forget(path)
    os.close(pipe)


def _append(path: Path, said: bytes) -> None:
    """What a full disk does not take is lost; a model that waited for it would be lost, too."""
    if not said:
        return
    with suppress(OSError):
        if path.exists() and path.stat().st_size > FILE_BYTES:
            path.replace(_before(path))
        with path.open("ab") as file:
            path.chmod(0o600)
            file.write(said)


def _forget(path: Path) -> None:
    for one in (path, _before(path)):
        with suppress(OSError):
            if time.time() - one.stat().st_mtime > KEPT_S:
                one.unlink()


def _before(path: Path) -> Path:
    return path.with_name(f"{path.name}.before")
