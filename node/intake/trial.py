"""What the routes would say to a study that came earlier: the same decision as when one is complete, without effect."""

from collections.abc import Mapping

from node.core import routing
from node.core.model import ModelFacts
from node.core.routing import Arrival, Decision
from node.core.stacks import split_into_stacks
from node.core.study import Stack
from node.errors import NotFound
from node.intake.routes import compile_route
from node.settings import Configuration
from node.state import arrivals
from node.state.ledger import Ledger


def tried_routes(
    ledger: Ledger, configuration: Configuration, models: Mapping[str, ModelFacts], key: str
) -> tuple[list[Decision], list[Stack]]:
    """Each route's decision on the study of that short id or Study Instance UID, and the stacks that were looked at.

    Raises NotFound where it is unknown, or nothing of it is kept any more.
    """
    with ledger.read() as connection:
        study = arrivals.get_study(connection, key)
        facts = [one.facts for one in arrivals.instances_in_force(connection, study.id)]
    if not facts:
        raise NotFound(f"of study {study.id} nothing is kept any more: routes cannot be tried on it")
    stacks = split_into_stacks(facts)
    came = Arrival(study.peer, study.calling_ae, study.called_ae)
    names = routing.study_names(facts, stacks, came)
    rules = [compile_route(one, models) for one in configuration.routes]
    return [routing.decide(rule, came, names, stacks) for rule in rules], list(stacks)
