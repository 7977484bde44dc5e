"""A model that is a card alone: its preparation ends with a step that segments, its finishing cleans the labels."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import ai.postprocessing
import ai.preparation
from ai.card import CLASSICAL, read_card
from ai.contract import ModelCard, Predict
from ai.device import Device
from ai.errors import CardInvalid
from ai.findings import Findings
from ai.postprocessing.finishing import finish, segments_of
from ai.preparation.images import bounded_threads
from ai.preparation.pipeline import prepare
from ai.step import Family
from ai.suitability import refuse_unsuitable
from ai.volume import Inputs

KIND = CLASSICAL


class ClassicalModel:
    """The model of one card; its digest covers the card and the code of every step."""

    def __init__(self, card: Path) -> None:
        """Raises CardInvalid where the card's chain does not end in labels of the reference."""
        packages = sorted(Path(str(one)).parent for one in (ai.preparation.__file__, ai.postprocessing.__file__))
        steps = [file for package in packages for file in sorted(package.glob("*.py"))]
        self.card: ModelCard = read_card(card, decided_by=steps)
        _check(self.card, card)

    @contextmanager
    def open(self, device: Device) -> Iterator[Predict]:
        """Bound SimpleITK's threads while the model is open; there is nothing else to load."""
        with bounded_threads(device.threads):
            yield self._predict

    def _predict(self, inputs: Inputs) -> Findings:
        """The card's segments on the grid of the reference. Raises ModelRefused where a step cannot take the images."""
        refuse_unsuitable(inputs, self.card)
        prepared = prepare(inputs, self.card.prepare)
        layers = finish(prepared, prepared.reference_volume.array, self.card.finish)
        return Findings(segments=segments_of(self.card, layers))


def _check(card: ModelCard, file: Path) -> None:
    last = card.prepare[-1] if card.prepare else None
    if last is None or last.step.family is not Family.SEGMENTATION:
        raise CardInvalid(f"{file}: the last [[prepare]] step must segment, such as `otsu`, `between` or `k-means`")
    if last.inputs and card.reference not in last.inputs:
        raise CardInvalid(f"{last.where}: it must segment the reference {card.reference!r}")
    if any(one.step.family is Family.SEGMENTATION for one in card.prepare[:-1]):
        raise CardInvalid(f"{file}: only the last [[prepare]] step may segment")
    if any(one.step.family is Family.DECISION for one in card.finish):
        raise CardInvalid(f"{file}: there are no scores to decide from; remove the deciding [[finish]] step")
    if not card.segments:
        raise CardInvalid(f"{file}: it declares no [[segment]]; label n of the chain is the n-th")
