"""The table [network.explain] of a card: of which classifications a map shows where the answer comes from, and how."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from ai.contract import ModelCard
from ai.errors import CardInvalid
from ai.tables import TableReader


class By(str, Enum):
    """How the map is made."""

    OCCLUSION = "occlusion"
    """How much the probability falls where a box of the image is hidden; of any network's file."""
    GRAD_CAM = "grad-cam"
    """Where a layer's activations speak for the answer; of a network that is built here, so that layers have names."""


QUANTITIES = {
    By.OCCLUSION: ("130404", "DCM", "Saliency"),
    By.GRAD_CAM: ("130403", "DCM", "Gradient-weighted class activation"),
}
"""What a map's values are (PS3.16 CID 217): neither is a probability, and none may be read as one."""


@dataclass(frozen=True)
class Explanation:
    """[network.explain]. maps: key of a classification, and of the map that explains it.

    box_mm, stride_mm: edge of what is hidden, and from one place to the next. fill: what it is replaced by, in the
    prepared image's own values; None: the image's mean. batch: images at a time. layer: a module of the network.
    """

    by: By
    maps: tuple[tuple[str, str], ...]
    box_mm: float
    stride_mm: float
    fill: float | None
    batch: int
    layer: str


def read_explanation(table: TableReader, where: str) -> Explanation:
    """The table's own words. Raises CardInvalid, naming the key and the mend."""
    by = table.choice("by", By)
    maps = table.table("maps").rest()
    box_mm = stride_mm = 0.0
    fill, batch, layer = None, 1, ""
    if by is By.OCCLUSION:
        box_mm = table.take("box_mm", float)
        stride_mm = table.take("stride_mm", float, box_mm / 2)
        fill = table.optional_number("fill")
        batch = table.take("batch", int, 1)
        if not 0 < stride_mm <= box_mm <= 1000 or batch < 1:
            raise CardInvalid(f"{where}: box_mm is up to 1000, stride_mm above 0 and no more than it, batch at least 1")
    else:
        layer = table.take("layer", str)
    table.finish()
    pairs = tuple((key, str(name)) for key, name in maps.items())
    if not pairs or len({name for _, name in pairs}) < len(pairs):
        raise CardInvalid(f"{where}: maps names for each classification a [[map]] of its own: maps = {{key = 'map'}}")
    return Explanation(by, pairs, box_mm, stride_mm, fill, batch, layer)


def check_explanation(explanation: Explanation, channels: Sequence[str], model: ModelCard, where: str) -> None:
    """Raises CardInvalid where the network says nothing of what is explained, or a map would be read as another."""
    wanted = QUANTITIES[explanation.by]
    for key, name in explanation.maps:
        if key not in channels:
            raise CardInvalid(f"{where}: maps names {key!r}, which is no channel of the network: {', '.join(channels)}")
        found = model.map(name).quantity
        if (found.value, found.scheme) != wanted[:2]:
            raise CardInvalid(f"{where}: the map {name!r} is a {found.meaning}; its quantity must be {list(wanted)}")
