"""Where a cascade's network looks: the box, with a margin in mm, around what a first network found.

The first network sees the whole images in a preparation of its own, mostly coarser; the second what lies in the box.
"""

from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

import numpy as np

from ai.contract import ModelCard
from ai.errors import CardInvalid, ModelRefused
from ai.findings import Mask
from ai.networks.declared import Kind, NetworkCard, network_of
from ai.networks.heads import Finds
from ai.postprocessing.finishing import check_order, finish
from ai.postprocessing.table import FINISHING
from ai.preparation.geometry import Box, box_around, grown
from ai.preparation.images import Values
from ai.preparation.pipeline import Prepared
from ai.preparation.placed import Placed
from ai.preparation.table import PREPARATION
from ai.step import Chain, read_chain
from ai.tables import TableReader, read_tables
from ai.together import refuse_other_space
from ai.volume import Inputs


@dataclass(frozen=True)
class RegionCard:
    """[region]. labels: those of the first network around which the box lies; none named means all."""

    network: NetworkCard
    prepare: Chain
    finish: Chain
    labels: tuple[int, ...]
    margin_mm: float


def read_region(card: Path, model: ModelCard) -> RegionCard | None:
    """The [region] of a card, None where it has none. Raises CardInvalid, naming the key and the mend."""
    top = read_tables(card)
    if "region" not in top:
        return None
    where = f"{card} [region]"
    table = TableReader({"region": top["region"]}, str(card)).table("region")
    inputs = [one.name for one in model.inputs]
    rows = table.take("prepare", list, [])
    prepare = read_chain(rows, PREPARATION, where=f"{where} prepare", inputs=inputs, reference=model.reference)
    finish_ = read_chain(table.take("finish", list, []), FINISHING, where=f"{where} finish")
    check_order(finish_)
    lines = {**table.table("network").rest(), "finds": Finds.SEGMENTS.value}
    first = replace(model, prepare=prepare, finish=finish_)
    found = RegionCard(
        network=network_of(TableReader(lines, f"{where} network"), first, card.parent, f"{where} network"),
        prepare=prepare,
        finish=finish_,
        labels=_labels(table.take("labels", list, []), where),
        margin_mm=table.take("margin_mm", float),
    )
    table.finish()
    if found.network.kind in (Kind.BUNDLE, Kind.NNUNET):
        raise CardInvalid(
            f"{where}: a {found.network.kind.value} cannot be a cascade's first network: it prepares by itself"
        )
    if not 0 <= found.margin_mm <= 1000:
        raise CardInvalid(f"{where}: margin_mm must be from 0 to 1000 mm, found {found.margin_mm:g}")
    return found


def boxes_of(region: RegionCard, inputs: Inputs, prepared: Prepared, said: Values) -> dict[str, Box]:
    """The box on each input's own grid around what the first network said on its prepared grid.

    Raises ModelRefused where it found nothing: then there is nothing for the second to look at.
    """
    layers = finish(prepared, said, region.finish)
    wanted = np.isin(layers, region.labels) if region.labels else layers > 0
    mask: Mask = np.any(wanted, axis=0)
    if not mask.any():
        raise ModelRefused("the first of the model's networks found nothing around which the second could look")
    reference = Placed.at_source(inputs.reference_volume)
    box = grown(box_around(mask, "that the model looks for"), reference, region.margin_mm)
    return {name: _on(Placed.at_source(one), reference, box, name) for name, one in inputs.volumes.items()}


def _on(placed: Placed, reference: Placed, box: Box, name: str) -> Box:
    """The box of the reference on the grid of another input, by their places in the patient."""
    if placed.volume is reference.volume:
        return box
    refuse_other_space(placed.volume, reference.volume)
    corners = np.array([[*one, 1.0] for one in product(*((low - 0.5, high + 0.5) for low, high in box))])
    there = (np.linalg.inv(placed.affine_lps) @ reference.affine_lps @ corners.T)[:3]
    sides = []
    for axis, size in enumerate(placed.shape):
        low, high = max(0, int(np.floor(there[axis].min()))), min(size - 1, int(np.ceil(there[axis].max())))
        if low > high:
            raise ModelRefused(f"input {name}: the images do not reach the region that the model's first network found")
        sides.append((low, high))
    return sides[0], sides[1], sides[2]


def _labels(values: list[object], where: str) -> tuple[int, ...]:
    found = tuple(one for one in values if isinstance(one, int) and not isinstance(one, bool) and 1 <= one <= 255)
    if len(found) != len(values):
        raise CardInvalid(f"{where}: labels must be whole numbers from 1 to 255, found {values}")
    return found
