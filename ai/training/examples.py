"""Cases as a network is trained on them: prepared by the chain of the model's card, the labels along with the image."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch

from ai.contract import ModelCard
from ai.errors import CasesInvalid, ModelRefused
from ai.preparation.pipeline import prepare
from ai.preparation.sampling import NEAREST, resampled
from ai.training.cases import Case, check_segments, read_case
from ai.volume import Inputs

Example = Mapping[str, torch.Tensor]
"""`image` (float32) and `label` (uint8), both (1, slices, rows, columns) on the prepared grid."""


def read_examples(cases: Sequence[Case], card: ModelCard) -> list[Example]:
    """Every case, held in memory. Raises CasesInvalid, also where the chain refuses an image."""
    return [_example(case, card) for case in cases]


def _example(case: Case, card: ModelCard) -> Example:
    volume, labels = read_case(case, card.inputs[0].modalities[0])
    check_segments(case, labels, card)
    try:
        placed = prepare(Inputs({card.reference: volume}, card.reference), card.prepare).placed[card.reference]
    except ModelRefused as refused:
        raise CasesInvalid(f"{case.name}: {refused}") from refused
    there = resampled(labels, placed.to_source, placed.shape, NEAREST, 0.0)
    return {
        "image": torch.from_numpy(np.ascontiguousarray(placed.values)[None]),
        "label": torch.from_numpy(np.ascontiguousarray(there)[None]),
    }
