"""The machine's GPUs as NVIDIA's own program tells them: how busy each is, and how full its memory."""

import csv
import shutil
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass

PROGRAM = "nvidia-smi"
ASKED = ("--query-gpu=name,utilization.gpu,memory.used,memory.total", "--format=csv,noheader,nounits")
EVERY_S, LIMIT_S = 10.0, 5.0


@dataclass(frozen=True)
class Gpu:
    """One GPU. busy_percent: None where the driver does not say."""

    name: str
    busy_percent: int | None
    used_mb: int
    total_mb: int


class Gpus:
    """Looks now and then, because asking takes longer than a page may."""

    def __init__(self, program: str = PROGRAM) -> None:
        self._program, self._lock = program, threading.Lock()
        self._last: tuple[Gpu, ...] = ()

    def look(self) -> None:
        """Ask once more; a machine without the program, or whose driver does not answer, has none to show."""
        found = tuple(_asked(self._program))
        with self._lock:
            self._last = found

    def last(self) -> tuple[Gpu, ...]:
        """As they were at the last look."""
        with self._lock:
            return self._last


def _asked(program: str) -> Iterator[Gpu]:
    path = shutil.which(program)
    if path is None:
        return
    try:
        told = subprocess.run([path, *ASKED], capture_output=True, text=True, timeout=LIMIT_S, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return
    for row in csv.reader(told.splitlines(), skipinitialspace=True):
        if len(row) == 4 and row[2].isdecimal() and row[3].isdecimal() and int(row[3]):
            yield Gpu(row[0], int(row[1]) if row[1].isdecimal() else None, int(row[2]), int(row[3]))
