"""How well masks agree with the truth: Dice, confusion matrix, precision and recall of each label."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Labels = npt.NDArray[np.integer]
Counts = npt.NDArray[np.int64]


@dataclass(frozen=True)
class LabelScore:
    """One label over all cases: Dice is the mean over cases, precision and recall are of all voxels together."""

    label: str
    dice: float
    dice_sd: float
    dice_least: float
    precision: float
    recall: float


def confusion(truth: Labels, found: Labels, labels: int) -> Counts:
    """(labels + 1, labels + 1) counts of voxels: rows are true labels, columns are found; 0 is background."""
    size = labels + 1
    return np.bincount(truth.ravel().astype(np.int64) * size + found.ravel(), minlength=size * size).reshape(size, size)


def dice(counts: Counts) -> npt.NDArray[np.float64]:
    """Dice of each label but the background; 1 where it is neither there nor found."""
    both, either = np.diag(counts)[1:], (counts.sum(0) + counts.sum(1))[1:]
    return np.where(either > 0, 2 * both / np.maximum(either, 1), 1.0)


def score(matrices: Sequence[Counts], names: Sequence[str]) -> tuple[LabelScore, ...]:
    """The scores of each label, from one confusion matrix a case."""
    each = np.stack([dice(one) for one in matrices])
    total = np.sum(matrices, axis=0)
    return tuple(
        LabelScore(
            label=name,
            dice=float(each[:, at].mean()),
            dice_sd=float(each[:, at].std()),
            dice_least=float(each[:, at].min()),
            precision=float(total[at + 1, at + 1] / max(1, total[:, at + 1].sum())),
            recall=float(total[at + 1, at + 1] / max(1, total[at + 1].sum())),
        )
        for at, name in enumerate(names)
    )
