"""Makes detections of a network's rows of boxes or points, or of its channels' peaks, on the images' own grid."""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import numpy.typing as npt

from ai.contract import ModelCard
from ai.errors import ModelFailed
from ai.findings import Detection, Shape
from ai.networks.heads import Activation, Column, HeadCard
from ai.preparation.images import Values
from ai.preparation.pipeline import Prepared

Rows = npt.NDArray[np.float64]
PLACES = (Column.SLICE, Column.ROW, Column.COLUMN)


def rows_of(outputs: Sequence[Values], head: HeadCard) -> Rows:
    """One row for each thing found, with the head's columns: what lies in several outputs is put side by side.

    outputs: (n, columns), (n,) of one column, or the same with a batch of one before. Raises ModelFailed for others.
    """
    batched = any(one.ndim > 2 for one in outputs)
    parts = [one[0] if batched and len(one) == 1 else one for one in outputs]
    if all(one.size == 0 for one in parts):
        return np.empty((0, len(head.columns)))
    parts = [one[:, None] if one.ndim == 1 else one for one in parts]
    fits = all(one.ndim == 2 and len(one) == len(parts[0]) for one in parts)
    if not fits or sum(one.shape[1] for one in parts) != len(head.columns):
        shapes, names = ", ".join(str(one.shape) for one in outputs), ", ".join(one.value for one in head.columns)
        raise ModelFailed(f"the network gave {shapes}; the card's columns of a detection are {names}")
    return np.concatenate(parts, axis=1, dtype=np.float64)


def detections_of(
    rows: Rows, prepared: Prepared, card: ModelCard, head: HeadCard, first: tuple[int, int, int]
) -> Iterator[Detection]:
    """Detections that reach their threshold, boxes as boxes along the axes of the source grid that hold them.

    first: (slice, row, column) of the part of the prepared image in which they were found. What reaches beyond the
    images ends where they do; what lies beside them, in what a step has put around, is left out. Raises ModelFailed.
    """
    columns = {one: rows[:, [at for at, other in enumerate(head.columns) if other is one]] for one in Column}
    if Column.SLICE not in head.columns:
        columns[Column.SLICE] = np.zeros_like(columns[Column.ROW])
    places = np.stack([columns[one] for one in PLACES], axis=-1) + first
    scores = _scores(columns[Column.SCORE][:, 0], head) if Column.SCORE in head.columns else None
    numbers = columns[Column.CLASS][:, 0] if Column.CLASS in head.columns else np.zeros(len(rows))
    for at, number in enumerate(numbers):
        if not 0 <= number < len(head.channels):
            raise ModelFailed(f"the network found something of channel {number:g}, which the card does not name")
        score = None if scores is None else float(scores[at])
        found = _found(head.channels[int(number)], places[at], score, prepared, card)
        if found is not None:
            yield found


def apart(detections: Iterable[Detection], most_overlap: float | None) -> tuple[Detection, ...]:
    """Of boxes of one kind that overlap by more than a share of what they cover together: the one scoring highest."""
    if most_overlap is None:
        return tuple(detections)
    kept: list[Detection] = []
    for one in sorted(detections, key=lambda one: one.score or 0.0, reverse=True):
        if all(one.key != other.key or overlap(one.points, other.points) <= most_overlap for other in kept):
            kept.append(one)
    return tuple(kept)


def overlap(one: Rows, other: Rows) -> float:
    """Intersection over union of two boxes (2, 3), each a voxel larger, so that those on one slice have a thickness."""
    first, second = (np.array([box.min(axis=0) - 0.5, box.max(axis=0) + 0.5]) for box in (one, other))
    common = float(np.maximum(np.minimum(first[1], second[1]) - np.maximum(first[0], second[0]), 0).prod())
    return common / (float((first[1] - first[0]).prod()) + float((second[1] - second[0]).prod()) - common)


def peaks_of(said: Values, prepared: Prepared, card: ModelCard, head: HeadCard) -> Iterator[Detection]:
    """The place of each channel's highest value, the first of several; that value, bounded to 0 and 1, is its score."""
    for key, heat in zip(head.channels, said, strict=True):
        highest = np.unravel_index(int(heat.argmax()), heat.shape)
        score = float(np.clip(heat[highest], 0, 1))
        found = _found(key, np.array([highest], np.float64), score, prepared, card)
        if found is not None:
            yield found


def _found(key: str, places: Rows, score: float | None, prepared: Prepared, card: ModelCard) -> Detection | None:
    """places: (1 or 2, 3) on the prepared grid. None where it is not asked for, below its threshold, or no image."""
    least = card.detection(key).threshold if key else None
    if not key or (least is not None and score is not None and score < least):
        return None
    placed = prepared.placed[prepared.reference]
    corners = np.array([[z, y, x, 1.0] for z in places[:, 0] for y in places[:, 1] for x in places[:, 2]])
    there = (corners @ placed.to_source.T)[:, :3]
    last = np.array(placed.source.array.shape) - 1.0
    if (there.max(axis=0) < -0.5).any() or (there.min(axis=0) > last + 0.5).any():
        return None
    half = np.array([0.0, 0.5, 0.5])  # within a slice, to the outer edge of its first and last pixels
    there = np.clip(there, -half, last + half)
    if len(places) == 1:
        return Detection(key, Shape.POINT, there, prepared.reference, score)
    return Detection(key, Shape.BOX, np.stack([there.min(axis=0), there.max(axis=0)]), prepared.reference, score)


def _scores(values: Rows, head: HeadCard) -> Rows:
    from scipy.special import expit  # loaded late: cards of networks are read where none is run

    found: Rows = expit(values) if head.activation is Activation.SIGMOID else values
    strange = found[(found < 0) | (found > 1)]
    if strange.size:
        raise ModelFailed(
            f'the network gave a score of {strange[0]:g}, which is not from 0 to 1: set activation = "sigmoid" for it'
        )
    return found
