"""Why a model gave no findings: it refused the input, or it failed."""

SHOWN = 100
"""Characters of what was found, in a message."""


class ModelError(Exception):
    """Base of everything a model or the code that opens one may raise on purpose."""


class ModelRefused(ModelError):
    """The input is unsuitable for this model: nothing is wrong with the model, the reason is for a person."""


class ModelFailed(ModelError):
    """The model could not do its work on an input it should have coped with."""


class OutOfMemory(ModelFailed):
    """The model needs more memory than there is, even in its smallest steps."""


class CardInvalid(ModelError):
    """A model's card cannot be read or contradicts itself; the message names the card, the key and the mend."""


class ModelUnknown(ModelError):
    """No installed model has the name that was asked for."""


class PlanInvalid(ModelError):
    """A training's plan cannot be carried out; the message names the file, the key and the fault."""


class CasesInvalid(ModelError):
    """Labelled images cannot be trained on or compared with; the message names the case and the fault."""


def shown(value: object) -> str:
    """What was found, as a message can hold it."""
    text = repr(value)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"
