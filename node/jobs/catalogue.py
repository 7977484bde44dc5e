"""The installed models as the node uses them: their cards, and what routing needs of each."""

from collections.abc import Callable, Collection, Mapping
from pathlib import Path

from ai.contract import Model, ModelCard
from ai.errors import CardInvalid, ModelUnknown
from ai.registry import find_model, model_names
from node.core.model import ModelFacts


def installed_models(
    folder: Path | None = None,
    only: Collection[str] | None = None,
    unusable: Callable[[str, CardInvalid], None] | None = None,
) -> dict[str, Model]:
    """Every installed model by its card's name, or those asked for; `folder` holds those of this site.

    unusable: hears of a model whose card cannot be used, which is then left out: it must not keep the others from
    their work. Raises CardInvalid where nobody hears.
    """
    found = {}
    for name in model_names(folder):
        if only is not None and name not in only:
            continue
        try:
            found[name] = find_model(name, folder)
        except ModelUnknown:
            continue  # somebody removed it since it was named
        except CardInvalid as error:
            if unusable is None:
                raise
            unusable(name, error)
    return found


def card_of(models: Mapping[str, Model], name: str) -> ModelCard:
    """The card of a model that a job was made for. Raises ModelUnknown."""
    if name not in models:
        raise ModelUnknown(
            f"model {name} is not installed here any more, or its card cannot be used (`isocenter check` says so): "
            "install it again, then retry the job"
        )
    return models[name].card


def model_facts(models: Mapping[str, Model]) -> dict[str, ModelFacts]:
    """What routing needs of each model; the reference input comes first."""
    found = {}
    for name, model in models.items():
        card = model.card
        inputs = sorted(((one.name, one.modalities) for one in card.inputs), key=lambda one: one[0] != card.reference)
        found[name] = ModelFacts(name=name, version=card.version, digest=card.digest, inputs=tuple(inputs))
    return found
