"""The installed models as the node uses them: their cards, and what routing needs of each."""

from collections.abc import Collection, Mapping
from pathlib import Path

from ai.contract import Model
from ai.registry import find_model, model_names
from node.core.model import ModelFacts


def installed_models(folder: Path | None = None, only: Collection[str] | None = None) -> dict[str, Model]:
    """Every installed model by its card's name, or those asked for; `folder` holds those of this site.

    Raises ai.errors.CardInvalid where a card cannot be used.
    """
    return {name: find_model(name, folder) for name in model_names(folder) if only is None or name in only}


def model_facts(models: Mapping[str, Model]) -> dict[str, ModelFacts]:
    """What routing needs of each model; the reference input comes first."""
    found = {}
    for name, model in models.items():
        card = model.card
        inputs = sorted(((one.name, one.modality) for one in card.inputs), key=lambda one: one[0] != card.reference)
        found[name] = ModelFacts(name=name, version=card.version, digest=card.digest, inputs=tuple(inputs))
    return found
