"""A model that is a card alone: its preparation ends with a step that segments, its finishing cleans the labels."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from ai.card import read_card
from ai.contract import ModelCard, Predict
from ai.device import Device
from ai.errors import CardInvalid, ModelRefused
from ai.findings import Findings
from ai.postprocessing.finishing import finish, segments_of
from ai.preparation.images import bounded_threads
from ai.preparation.pipeline import prepare
from ai.step import Family
from ai.volume import Inputs


class Classical:
    """The model of one card; what decides its output is the card and the steps, which have the product's version."""

    def __init__(self, card: ModelCard) -> None:
        self.card = card

    @contextmanager
    def open(self, device: Device) -> Iterator[Predict]:
        """Bound SimpleITK's threads while the model is open; there is nothing else to load."""
        with bounded_threads(device.threads):
            yield self.predict

    def predict(self, inputs: Inputs) -> Findings:
        """The card's segments on the grid of the reference. Raises ModelRefused where a step cannot take the images."""
        modality = inputs.reference_volume.facts.modality
        wanted = next(one.modality for one in self.card.inputs if one.name == self.card.reference)
        if modality not in (None, wanted):
            raise ModelRefused(f"the images are {modality}, not {wanted}")
        prepared = prepare(inputs, self.card.prepare)
        layers = finish(prepared, np.asarray(prepared.reference_volume.array), self.card.finish)
        return Findings(segments=segments_of(self.card, layers))


def classical_model(card_path: Path) -> Classical:
    """The model of a card of this kind. Raises CardInvalid where its chain does not end in labels of the reference."""
    card = read_card(card_path)
    last = card.prepare[-1] if card.prepare else None
    if last is None or last.step.family is not Family.SEGMENTATION:
        raise CardInvalid(f"{card_path}: the last [[prepare]] step must segment, such as `otsu`, `between`, `k-means`")
    if last.inputs and card.reference not in last.inputs:
        raise CardInvalid(f"{last.where}: it must segment the reference {card.reference!r}")
    if any(one.step.family is Family.SEGMENTATION for one in card.prepare[:-1]):
        raise CardInvalid(f"{card_path}: only the last [[prepare]] step may segment")
    if any(one.step.family is Family.DECISION for one in card.finish):
        raise CardInvalid(f"{card_path}: there are no scores to decide from; remove the deciding [[finish]] step")
    if not card.segments:
        raise CardInvalid(f"{card_path}: it declares no [[segment]]; label n of the chain is the n-th")
    return Classical(card)
