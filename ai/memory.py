"""How much memory a device has free, and how much of it this process took."""

import ctypes
import gc
from contextlib import suppress
from pathlib import Path
from typing import Any

from ai.device import Device

CGROUP = Path("/sys/fs/cgroup")
STATUS, MEMINFO, CLEAR_REFS = Path("/proc/self/status"), Path("/proc/meminfo"), Path("/proc/self/clear_refs")


def free_mb(device: Device) -> int:
    """What may still be taken: on the processor what the system could free, within this container's limit."""
    if device.kind == "cpu":
        return min(_line_kb(MEMINFO, "MemAvailable") >> 10, _container_mb())
    cuda = _cuda()
    taken_but_idle = cuda.memory_reserved(device.index) - cuda.memory_allocated(device.index)
    return int(cuda.mem_get_info(device.index)[0] + taken_but_idle) >> 20


def used_mb(device: Device) -> int:
    """What this process has taken at the moment."""
    if device.kind == "cpu":
        return _line_kb(STATUS, "VmRSS") >> 10
    return int(_cuda().memory_allocated(device.index)) >> 20


def held_mb(device: Device) -> int:
    """What this process holds for itself, swapped out or not, without files that are mapped; on a GPU also there."""
    own = sum(_line_kb(STATUS, key) for key in ("RssAnon", "RssShmem", "VmSwap")) >> 10
    return own if device.kind == "cpu" else own + used_mb(device)


def give_back() -> None:
    """Give the system what this process holds and does not use, as far as that is known."""
    gc.collect()
    with suppress(AttributeError):  # of the GNU C library
        ctypes.CDLL(None).malloc_trim(0)


def begin_peak(device: Device) -> bool:
    """From here on peak_mb counts. False: this system does not tell."""
    if device.kind == "cpu":
        try:
            CLEAR_REFS.write_text("5")  # proc(5): resets the peak resident set size
        except OSError:  # a kernel that was built without it, or a sandbox
            return False
    else:
        _cuda().reset_peak_memory_stats(device.index)
    return True


def peak_mb(device: Device) -> int:
    """The most this process had taken at one time since begin_peak."""
    if device.kind == "cpu":
        return _line_kb(STATUS, "VmHWM") >> 10
    return int(_cuda().max_memory_allocated(device.index)) >> 20


def _cuda() -> Any:
    import torch

    return torch.cuda


def _line_kb(file: Path, key: str) -> int:
    return next(int(line.split()[1]) for line in file.read_text().splitlines() if line.startswith(f"{key}:"))


def _container_mb() -> int:
    """What this container's limit leaves (cgroup v2); far more than any machine has where there is none."""
    try:
        limit = (CGROUP / "memory.max").read_text().strip()
        current = int((CGROUP / "memory.current").read_text())
        statistics = dict(line.split() for line in (CGROUP / "memory.stat").read_text().splitlines())
    except OSError:
        limit = "max"
    if limit == "max":
        return 1 << 40
    return max(int(limit) - current + int(statistics.get("inactive_file", 0)), 0) >> 20
