"""What the routes would say to a study: the same decision as when one is complete, without effect."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from node.core import routing
from node.core.model import ModelFacts
from node.core.routing import Arrival, Decision
from node.core.stacks import split_into_stacks
from node.core.study import InstanceFacts, Stack
from node.errors import NotFound, Unreadable
from node.intake.routes import compile_route
from node.settings import Configuration
from node.state import arrivals
from node.state.header import read_facts
from node.state.ledger import Ledger

Tried = tuple[list[Decision], list[Stack]]
"""Each route's decision, and the stacks that were looked at."""


def tried_on_study(ledger: Ledger, configuration: Configuration, models: Mapping[str, ModelFacts], key: str) -> Tried:
    """On the study of that short id or Study Instance UID. Raises NotFound where nothing is kept of it (any more)."""
    with ledger.read() as connection:
        study = arrivals.get_study(connection, key)
        facts = [one.facts for one in arrivals.instances_in_force(connection, study.id)]
    if not facts:
        raise NotFound(f"of study {study.id} nothing is kept any more: routes cannot be tried on it")
    return _tried(facts, Arrival(study.peer, study.calling_ae, study.called_ae), configuration, models)


def tried_on_files(
    paths: Sequence[Path], calling: str, configuration: Configuration, models: Mapping[str, ModelFacts]
) -> Tried:
    """On files of one study, as if `calling` had sent them; their headers are read, and nothing else.

    Raises NotFound where they are not files of one study.
    """
    facts, faults = [], []
    for path in paths:
        try:
            facts.append(read_facts(path))
        except Unreadable as error:
            faults.append(str(error).replace(f"{path}: ", ""))
    if not facts:
        raise NotFound(f"this is no DICOM image: {faults[0] if faults else 'no file was given'}")
    if len({one.study_uid for one in facts}) > 1:
        raise NotFound("these are files of more than one study: routes look at one study at a time")
    peer = next((one.name for one in configuration.peers if one.ae_title == calling), None)
    came = Arrival(peer, calling, configuration.settings.node.ae_titles[0])
    return _tried(facts, came, configuration, models)


def _tried(
    facts: Sequence[InstanceFacts], came: Arrival, configuration: Configuration, models: Mapping[str, ModelFacts]
) -> Tried:
    stacks = split_into_stacks(facts)
    names = routing.study_names(facts, stacks, came)
    rules = [compile_route(one, models) for one in configuration.routes]
    return [routing.decide(rule, came, names, stacks) for rule in rules], list(stacks)
