"""Finds installed models: by entry points (group `isocenter.models`), and as folders whose card is all the code."""

from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

from ai.contract import Model, ModelCard
from ai.errors import CardInvalid, ModelUnknown, shown
from ai.models.classical import KIND, ClassicalModel
from ai.networks.model import CARD, NetworkModel
from ai.tables import read_tables

GROUP = "isocenter.models"
SHIPPED = Path(__file__).parent / "models"


def model_names(folder: Path | None = None) -> list[str]:
    """Names of every installed model, sorted; `folder` holds the models of this site, one folder each."""
    return sorted({*(point.name for point in entry_points(group=GROUP)), *_folders(folder)})


def find_model(name: str, folder: Path | None = None) -> Model:
    """The installed model of that name. Raises ModelUnknown, naming those that are installed, or CardInvalid."""
    point: EntryPoint | None = next(iter(entry_points(group=GROUP, name=name)), None)
    places = _folders(folder).get(name, [])
    if len(places) + (point is not None) > 1:
        raise CardInvalid(
            f"{places[-1]}: a model that ships with the product is called {name!r}, too; rename the folder"
        )
    if point is not None:
        return _loaded(point)
    if not places:
        raise ModelUnknown(f"no model is called {name!r}; installed are: {', '.join(model_names(folder)) or 'none'}")
    found = _model_of(places[0])
    if found.card.name != name:
        raise CardInvalid(
            f"{places[0] / CARD}: name is {found.card.name!r}; a model's folder is called as the model is"
        )
    return found


def _loaded(point: EntryPoint) -> Model:
    try:
        model: Model = point.load()
        card = getattr(model, "card", None)
    except CardInvalid:
        raise
    except (Exception, SystemExit) as error:  # a stranger's module does what it likes
        words = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        raise CardInvalid(f"{point.name}: its code ({point.value}) cannot be imported: {words}") from error
    if not isinstance(card, ModelCard) or not callable(getattr(model, "open", None)):
        raise CardInvalid(f"{point.name}: {point.value} is no model: it needs a card, a ModelCard, and a method open")
    if card.name != point.name:
        raise CardInvalid(
            f"{point.name}: its card says name = {shown(card.name)}; an entry point is called as its model is"
        )
    return model


def _model_of(place: Path) -> NetworkModel | ClassicalModel:
    """Raises CardInvalid."""
    classical = read_tables(place / CARD).get("kind") == KIND
    return ClassicalModel(place / CARD) if classical else NetworkModel(place)


def _folders(site: Path | None) -> dict[str, list[Path]]:
    """Folders with a model without code, by name: those that ship with the product, then those of the site."""
    found: dict[str, list[Path]] = {}
    for place in filter(None, (SHIPPED, site)):
        for card in sorted(place.glob(f"*/{CARD}")):
            name = card.parent.name if place == site else card.parent.name.replace("_", "-")
            if place == site or {"network", "kind"} & set(read_tables(card)):
                found.setdefault(name, []).append(card.parent)
    return found
