"""Inputs on which any model can be checked: the phantom of a chest, where it takes one CT, and noise."""

from ai.contract import Model
from ai.testing.samples import noise_inputs
from ai.volume import Facts, Inputs, Volume
from node.rehearsal.phantom import SMALL, scan


def made_inputs(model: Model) -> list[Inputs]:
    """What a model should take, the likeliest first; the noise is within the limits of its card."""
    card, made = model.card, []
    if [one.modalities for one in card.inputs] == [("CT",)]:
        chest = Volume(scan(SMALL, 1), SMALL.affine_lps, SMALL.spacing_mm, Facts(modality="CT", body_part="CHEST"))
        made.append(Inputs({card.reference: chest}, card.reference))
    return [*made, noise_inputs(card)]
