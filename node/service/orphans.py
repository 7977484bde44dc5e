"""Ends what a process of the node has started and left behind: a model may start programs in sessions of their own."""

import ctypes
import os
import signal
import time
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

PR_SET_CHILD_SUBREAPER = 36
"""linux/prctl.h"""
PATIENCE_S = 5.0
"""What hangs in the kernel for longer ends when that lets go of it."""
GRACE_S = 0.5
"""The helpers of a worker's end when they see that it is gone."""
PARENT = 1
"""Of the fields of /proc/PID/stat that follow the name, in which anything may stand."""


def adopt_orphans() -> None:
    """From here on processes whose parent died become children of this one, wherever the system can do that."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def children() -> frozenset[int]:
    """The processes whose parent this one is."""
    found = set()
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it is gone
            fields = (folder / "stat").read_text(errors="replace").rpartition(")")[2].split()
            if int(fields[PARENT]) == os.getpid():
                found.add(int(folder.name))
    return frozenset(found)


def reap_orphans(ours: Collection[int]) -> None:
    """Take note of orphans that ended by themselves: until then they count as processes. ours: pids to leave alone."""
    for pid in children().difference(ours):
        with suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)


def end_orphans(ours: Collection[int]) -> int:
    """End every orphan that does not end by itself at once, and what comes to light when its parent ends; returns how
    many had to be ended."""
    ended: set[int] = set()
    began = time.monotonic()
    while (found := children().difference(ours)) and time.monotonic() < began + PATIENCE_S:
        if time.monotonic() > began + GRACE_S:
            for pid in found:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            ended |= found
        reap_orphans(ours)
        time.sleep(0.01)
    return len(ended)
