"""The most memory that this process has held since a moment, as Linux counts it."""

from pathlib import Path

_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")
RESET_PEAK = "5"
"""proc(5): resets the peak resident set size."""


class PeakMemory:
    """Begins to watch when it is made."""

    def __init__(self) -> None:
        try:
            _CLEAR.write_text(RESET_PEAK)
        except OSError:
            self._before: int | None = None
        else:
            self._before = _kilobytes("VmRSS")

    def grown_mb(self) -> float | None:
        """How far the process has been above where it began; None where the system does not tell."""
        return None if self._before is None else (_kilobytes("VmHWM") - self._before) / 1024


def _kilobytes(name: str) -> int:
    line = next(line for line in _STATUS.read_text().splitlines() if line.startswith(name))
    return int(line.split()[1])
