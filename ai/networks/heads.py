"""What the outputs of a network are: a head says what one of them finds, and what its channels or columns mean."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from ai.contract import ModelCard
from ai.errors import CardInvalid
from ai.tables import TableReader


class Finds(str, Enum):
    """What a head finds."""

    SEGMENTS = "segments"
    CLASSIFICATIONS = "classifications"
    MEASUREMENTS = "measurements"
    """Regression: each channel is the value of a measurement of the card."""
    DERIVED = "derived"
    """Image to image, in the quantity of the input."""
    MAPS = "maps"
    """A quantity at every voxel."""
    DETECTIONS = "detections"
    """Rows of boxes or points, on the grid that the network saw."""
    PEAKS = "peaks"
    """A point where each channel is highest: landmarks, as networks of heat maps find them."""


class Activation(str, Enum):
    """What makes probabilities of the network's output."""

    SOFTMAX = "softmax"
    """Channels exclude each other: segments are disjoint."""
    SIGMOID = "sigmoid"
    """Each channel stands alone: segments may overlap."""
    NONE = "none"


class Column(str, Enum):
    """What one number of a detection's row is. Whole numbers of places are the centres of voxels."""

    SLICE = "slice"
    ROW = "row"
    COLUMN = "column"
    SCORE = "score"
    CLASS = "class"
    """Number of the channel, from 0."""


Columns = tuple[Column, ...]
CORNERS: dict[int, Columns] = {
    3: (Column.SLICE, Column.ROW, Column.COLUMN) * 2 + (Column.SCORE, Column.CLASS),
    2: (Column.ROW, Column.COLUMN) * 2 + (Column.SCORE, Column.CLASS),
}
"""The columns of boxes where the card names none, by the dimensions of the network."""


@dataclass(frozen=True)
class HeadCard:
    """One output of a network.

    channels: the key for each channel of the output, "" for one that is not used; by default the card's own order.
    Segments have no such list: label n is the card's n-th segment. columns: of detections, of each row. most_overlap:
    the intersection over union above which two boxes are one; None: boxes are taken as they come.
    """

    finds: Finds
    channels: tuple[str, ...]
    activation: Activation
    columns: Columns = ()
    most_overlap: float | None = None

    @property
    def is_of_places(self) -> bool:
        """It says something of every voxel, so that a network may be asked window by window."""
        return self.finds in (Finds.SEGMENTS, Finds.DERIVED, Finds.MAPS, Finds.PEAKS)

    @property
    def is_of_boxes(self) -> bool:
        """It gives boxes, of which the better can be told from the others."""
        return self.columns.count(Column.ROW) == 2 and Column.SCORE in self.columns


def read_head(table: TableReader, model: ModelCard, dimensions: int, where: str) -> HeadCard:
    """The keys of one output, taken out of its table. Raises CardInvalid, naming the key and the mend."""
    finds = table.choice("finds", Finds)
    declared = keys_of(model, finds)
    columns = table.texts("columns")
    found = HeadCard(
        finds=finds,
        channels=table.texts("channels") or declared,
        activation=table.choice("activation", Activation, Activation.NONE),
        columns=_columns(columns, dimensions, where) if finds is Finds.DETECTIONS else (),
        most_overlap=table.optional_number("most_overlap"),
    )
    strange = [one for one in found.channels if one and one not in declared]
    if strange or not declared:
        what = f"names {strange[0]!r}" if strange else "is empty"
        raise CardInvalid(f"{where}: finds {finds.value}, and channels {what}: declare it in the card")
    if finds is Finds.DETECTIONS:
        _check_rows(found, model, where)
    elif columns or found.most_overlap is not None:
        raise CardInvalid(f"{where}: columns and most_overlap are of detections; remove them")
    return found


def keys_of(model: ModelCard, finds: Finds) -> tuple[str, ...]:
    """Keys of everything of a kind that the card declares."""
    match finds:
        case Finds.SEGMENTS:
            return tuple(one.key for one in model.segments)
        case Finds.CLASSIFICATIONS:
            return tuple(one.key for one in model.classifications)
        case Finds.MEASUREMENTS:
            return tuple(one.key for one in model.measurements)
        case Finds.DETECTIONS | Finds.PEAKS:
            return tuple(one.key for one in model.detections)
        case Finds.MAPS:
            return tuple(one.key for one in model.maps)
        case Finds.DERIVED:
            return tuple(one.key for one in model.derived)


def _columns(words: Sequence[str], dimensions: int, where: str) -> Columns:
    if not words:
        return CORNERS[dimensions]
    known = {one.value: one for one in Column}
    if not set(words) <= set(known):
        raise CardInvalid(f"{where}: columns are of {', '.join(known)}; found {list(words)}")
    found = tuple(known[word] for word in words)
    slices, rows, columns = (found.count(one) for one in (Column.SLICE, Column.ROW, Column.COLUMN))
    if rows not in (1, 2) or columns != rows or slices != (rows if dimensions == 3 else 0):
        axes = "slice, row and column" if dimensions == 3 else "row and column, and no slice"
        raise CardInvalid(f"{where}: columns must name {axes}, each once for points or twice for boxes")
    if max(found.count(one) for one in (Column.SCORE, Column.CLASS)) > 1:
        raise CardInvalid(f"{where}: columns may name score and class once")
    return found


def _check_rows(head: HeadCard, model: ModelCard, where: str) -> None:
    if head.activation is Activation.SOFTMAX:
        raise CardInvalid(f"{where}: a detection has one score: its activation is sigmoid or none")
    if Column.CLASS not in head.columns and len(head.channels) != 1:
        raise CardInvalid(f"{where}: columns name no class, so channels must name the one [[detection]] that is found")
    if head.most_overlap is not None and not (head.is_of_boxes and 0 <= head.most_overlap < 1):
        raise CardInvalid(f"{where}: most_overlap is from 0 to below 1, of boxes that have a score")
    judged = [key for key in head.channels if key and model.detection(key).threshold is not None]
    if Column.SCORE not in head.columns and judged:
        raise CardInvalid(f"{where}: columns name no score to hold against the threshold of {judged[0]!r}: remove that")
