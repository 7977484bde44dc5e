"""Asks a network again about mirrored images: the mean is its answer, how far the answers differ its uncertainty."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import chain, combinations
from typing import TYPE_CHECKING

import numpy as np

from ai.contract import ClassificationCard, ModelCard, SegmentCard
from ai.errors import CardInvalid
from ai.preparation.images import Values
from ai.step import Chain

if TYPE_CHECKING:
    import torch


class Flip(str, Enum):
    """A direction in the patient along which images are mirrored."""

    LEFT_RIGHT = "left-right"
    ANTERIOR_POSTERIOR = "anterior-posterior"
    SUPERIOR_INFERIOR = "superior-inferior"


LETTERS = {Flip.LEFT_RIGHT: "LR", Flip.ANTERIOR_POSTERIOR: "AP", Flip.SUPERIOR_INFERIOR: "SI"}
SIDES = frozenset({"left", "right"})


@dataclass(frozen=True)
class Answer:
    """The mean of the answers, and their standard deviation, the largest of all channels (None: it was asked once)."""

    values: Values
    spread: Values | None


def asked(
    network: "Callable[[torch.Tensor], Values]", image: "torch.Tensor", axes: Sequence[int], *, everywhere: bool
) -> Answer:
    """The network's answer to the image and to its mirror images along every combination of axes.

    image: (channels, slices, rows, columns). axes: of these, 0 is the slices. everywhere: the answers have voxels, and
    are mirrored back before they are compared.
    """
    said = network(image)
    if not axes:
        return Answer(said, None)
    total, squares, count = said.copy(), said**2, 1
    for some in chain.from_iterable(combinations(axes, size) for size in range(1, len(axes) + 1)):
        turned = tuple(axis + 1 for axis in some)
        said = network(image.flip(turned))
        said = np.flip(said, turned) if everywhere else said
        total += said
        squares += said**2
        count += 1
    mean: Values = (total / count).astype(np.float32, copy=False)
    spread: Values = np.sqrt(np.maximum(squares / count - mean**2, 0)).max(axis=0)
    return Answer(mean, spread)


def axes_of(flips: Sequence[Flip], steps: Chain) -> tuple[int, ...]:
    """The axes of the prepared image (0: slices) that run along these directions, as its step `orient` turned it."""
    letters = [str(one.values["axes"]) for one in steps if one.step.name == "orient"]
    if not flips:
        return ()
    if not letters:
        raise CardInvalid("flips are directions in the patient: begin [[prepare]] with a step `orient`")
    return tuple(next(at for at, one in enumerate(letters[-1]) if one in LETTERS[flip]) for flip in flips)


def check_sides(flips: Sequence[Flip], card: ModelCard, where: str) -> None:
    """Raises CardInvalid where what the model finds has a side, which a mirror image exchanges."""
    found = [(one.key, one.laterality, (one.label, *_meanings(one))) for one in card.segments]
    found += [(one.key, one.laterality, (one.label, *_meanings(one))) for one in card.classifications]
    sided = [key for key, side, texts in found if side is not None or SIDES & set(_words(key, *texts))]
    if Flip.LEFT_RIGHT in flips and sided:
        raise CardInvalid(
            f"{where}: flips left-right, and {sided[0]!r} has a side, the other one in the mirror: leave it out"
        )


def _meanings(one: SegmentCard | ClassificationCard) -> list[str]:
    """What its codes say in words."""
    codes = (one.type, one.modifier, one.site) if isinstance(one, SegmentCard) else (one.finding, one.site)
    return [code.meaning for code in codes if code is not None]


def _words(*texts: str) -> list[str]:
    return [word for text in texts for word in text.lower().replace("-", " ").split()]
