"""What a decoder may do to its process; python -m tests.makers.misbehaving PID-FILE is a worker with one that hangs."""

import os
import sys
import time
from pathlib import Path

import numpy as np

from ai.exchange import save_inputs
from ai.volume import Inputs, Volume
from node.errors import ReasonCode, Refused
from node.jobs.confined import run_confined


def crash() -> None:
    """What a segmentation fault in native code does."""
    os.kill(os.getpid(), 11)


def abort() -> None:
    os.abort()


def leave() -> None:
    os._exit(3)


def be_killed() -> None:
    """What the system does to a process when the machine has no memory left."""
    os.kill(os.getpid(), 9)


def hang() -> None:
    time.sleep(3600)


def hang_and_tell(told: Path) -> None:
    told.write_text(str(os.getpid()))
    time.sleep(3600)


def take_memory(megabytes: int) -> None:
    np.ones(megabytes << 20, dtype=np.uint8)


def keep_volume(folder: Path) -> None:
    """4 MiB, as reading images keeps them."""
    volume = Volume(np.zeros((8, 512, 512), np.int16), None, None)
    save_inputs(Inputs({"ct": volume}, "ct"), folder)


def refuse() -> None:
    raise Refused(ReasonCode.GANTRY_TILT, "tilted by 18 degrees")


def fail() -> None:
    raise ValueError("boom")


def write(path: Path) -> None:
    path.write_text("done")


if __name__ == "__main__":
    run_confined(hang_and_tell, (Path(sys.argv[1]),), memory_mb=200, timeout_s=600)
