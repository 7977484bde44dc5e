"""What a process works with: the models whose cards can be used, and routes that name them."""

from collections.abc import Collection

import structlog

from ai.contract import Model
from ai.errors import CardInvalid
from node.intake.routes import compile_route
from node.jobs.catalogue import installed_models, model_facts
from node.settings import Configuration

log = structlog.get_logger()


def usable_models(configuration: Configuration, only: Collection[str] | None = None) -> dict[str, Model]:
    """The installed models; one whose card cannot be used is left out, and the log and `isocenter check` say why."""
    return installed_models(configuration.models, only, unusable=_tell)


def judge_routes(configuration: Configuration) -> None:
    """Raises ConfigurationInvalid where a route names a model or an input that is not there: nothing could start so."""
    facts = model_facts(usable_models(configuration))
    for route in configuration.routes:
        compile_route(route, facts)


def _tell(name: str, error: CardInvalid) -> None:
    log.error("model-unusable", model=name, why=str(error))
