"""Runs a model on labelled cases, as a node runs it, and says how well it agrees with them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ai.contract import Model, ModelCard
from ai.device import Device
from ai.errors import CasesInvalid
from ai.findings import Findings
from ai.training.cases import Case, Labels, check_segments, read_case
from ai.training.scores import Counts, LabelScore, confusion, dice, score
from ai.volume import Inputs


@dataclass(frozen=True)
class CaseScore:
    """Dice of each label in one case, in the order of the card's segments."""

    case: str
    dice: tuple[float, ...]


@dataclass(frozen=True)
class Evaluation:
    """What was found. names: background and the labels. counts: voxels; rows are true labels, columns found ones."""

    scores: tuple[LabelScore, ...]
    names: tuple[str, ...]
    counts: Counts
    cases: tuple[CaseScore, ...]


def evaluate(
    model: Model, cases: Sequence[Case], device: Device, *, done: Callable[[], None] = lambda: None
) -> Evaluation:
    """Label n of the cases is the n-th segment of the model's card. done: called after each case.

    Raises CasesInvalid where the model takes several inputs or a case has labels that the card has no segment for;
    ModelRefused and ModelFailed as the model does.
    """
    card = model.card
    if len(card.inputs) != 1 or not card.segments:
        raise CasesInvalid(f"{card.name}: only a model of one input that finds segments can be compared with labels")
    names, matrices = tuple(one.label for one in card.segments), []
    with model.open(device) as predict:
        for case in cases:
            volume, truth = read_case(case, card.inputs[0].modalities[0])
            check_segments(case, truth, card)
            found = _labels(predict(Inputs({card.reference: volume}, card.reference)), card, truth)
            matrices.append(confusion(truth, found, len(names)))
            done()
    return Evaluation(
        scores=score(matrices, names),
        names=("Background", *names),
        counts=np.sum(matrices, axis=0),
        cases=tuple(CaseScore(case.name, tuple(dice(one).tolist())) for case, one in zip(cases, matrices, strict=True)),
    )


def _labels(findings: Findings, card: ModelCard, like: Labels) -> Labels:
    """The segments as one label map; where they overlap, the later one of the card counts."""
    found = np.zeros_like(like)
    for label, one in enumerate(card.segments, 1):
        segment = findings.segment(one.key)
        if segment is not None:
            found[segment.mask] = label
    return found
