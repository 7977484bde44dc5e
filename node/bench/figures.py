"""Measured times of one case, ours beside theirs, as people and programs read them (design section 8)."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Side:
    """What one of the two needed in each round."""

    name: str
    version: str
    runs: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.runs)


@dataclass(frozen=True)
class Case:
    """A case and its sides. most: what the ratio of ours to theirs should not exceed, or ours where it stands alone.

    unit: of the runs. skipped: why nothing was measured, or empty.
    """

    name: str
    unit: str
    most: float
    ours: Side | None = None
    theirs: Side | None = None
    skipped: str = ""

    @property
    def ratio(self) -> float | None:
        """Ours to theirs, by the medians; None where it was skipped."""
        if self.ours is None or self.theirs is None:
            return None
        return self.ours.median / self.theirs.median if self.theirs.median else None

    @property
    def is_met(self) -> bool:
        """Whether what was measured is no more than it should be; true where nothing was."""
        if self.ours is None:
            return True
        found = self.ratio if self.theirs else self.ours.median
        return found is None or found <= self.most

    def as_json(self) -> dict[str, object]:
        """As `--json` prints it."""
        if self.ours is None:
            return {"case": self.name, "unit": self.unit, "skipped": self.skipped}
        ours = {"runs": _rounded(self.ours.runs), "median": round(self.ours.median, 4)}
        if self.theirs is None:
            most = {"should_be_at_most": self.most} if math.isfinite(self.most) else {}
            return {"case": self.name, "unit": self.unit, "ours": ours, **most}
        return {
            "case": self.name,
            "unit": self.unit,
            "ours": ours,
            "theirs": {
                "name": self.theirs.name,
                "version": self.theirs.version,
                "runs": _rounded(self.theirs.runs),
                "median": round(self.theirs.median, 4),
            },
            "ratio": None if self.ratio is None else round(self.ratio, 3),
            "ratio_should_be_at_most": self.most,
        }


def _rounded(runs: Sequence[float]) -> list[float]:
    return [round(one, 4) for one in runs]
