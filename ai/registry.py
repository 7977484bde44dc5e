"""Finds installed models by their entry points (group `isocenter.models`)."""

from importlib.metadata import EntryPoint, entry_points

from ai.contract import Model
from ai.errors import ModelUnknown

GROUP = "isocenter.models"


def model_names() -> list[str]:
    """Names of every installed model, sorted."""
    return sorted(point.name for point in entry_points(group=GROUP))


def find_model(name: str) -> Model:
    """The installed model of that name. Raises ModelUnknown, naming those that are installed."""
    found: EntryPoint | None = next(iter(entry_points(group=GROUP, name=name)), None)
    if found is None:
        raise ModelUnknown(f"no model is called {name!r}; installed are: {', '.join(model_names()) or 'none'}")
    model: Model = found.load()
    return model
