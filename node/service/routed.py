"""What a process works with: the models whose cards can be used, and routes that name them."""

from collections.abc import Collection, Mapping

import structlog

from ai.contract import Model
from ai.errors import CardInvalid
from node.core.model import ModelFacts
from node.intake.routes import compile_route
from node.jobs.catalogue import installed_models, model_facts
from node.service.destinations import destinations_of
from node.settings import Configuration
from node.state.stamps import stamps_of_cards

log = structlog.get_logger()


def usable_models(configuration: Configuration, only: Collection[str] | None = None) -> dict[str, Model]:
    """The installed models; one whose card cannot be used is left out, and the log and `isocenter check` say why."""
    return installed_models(configuration.models, only, unusable=_tell)


class Judge:
    """Says whether a node could start with a configuration, by the models' cards as they lie there now.

    The window asks it before a file is written, and the service before a written file is taken over. Cards are read
    again only after one was replaced: weights are long to digest.
    """

    def __init__(self) -> None:
        self._read: tuple[object, Mapping[str, ModelFacts]] | None = None

    def __call__(self, configuration: Configuration) -> None:
        """Raises ConfigurationInvalid where a route names a model or an input that is not there, or a destination
        cannot be made."""
        facts = self.facts(configuration)
        for route in configuration.routes:
            compile_route(route, facts)
        destinations_of(configuration)

    def facts(self, configuration: Configuration) -> Mapping[str, ModelFacts]:
        """What routing needs of the models that can be used."""
        stamps = stamps_of_cards(configuration.models)
        if self._read is None or self._read[0] != stamps:
            self._read = (stamps, model_facts(usable_models(configuration)))
        return self._read[1]


def _tell(name: str, error: CardInvalid) -> None:
    log.error("model-unusable", model=name, why=str(error))
