"""Looks for everything that may keep a node from its work, and says of each what to do."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ai.errors import CardInvalid
from ai.networks.model import CARD, NetworkModel
from ai.networks.weights import check_pinned
from node.configuration import FILES, read_configuration
from node.errors import ConfigurationInvalid, LedgerUnusable
from node.jobs.catalogue import installed_models, model_facts
from node.service import check_ledger, check_machine, check_settings
from node.service.executor import now
from node.service.expiring import endings
from node.service.isolation import can_leave_network, needs_network
from node.settings import Configuration
from node.state.ledger import Ledger


@dataclass(frozen=True)
class Fault:
    """One fault in one line. kind: a word for programs."""

    kind: str
    message: str


def find_faults(config: Path) -> Iterator[Fault]:
    """Every fault of the node that a configuration folder describes, whether it runs or not."""
    try:
        configuration = read_configuration(config)
    except ConfigurationInvalid as error:
        yield from (Fault("configuration", line) for line in str(error).splitlines())
        return
    yield from (Fault(*one) for one in _of_names(config, configuration.models))
    yield from (Fault(*one) for one in _of_models(configuration))
    yield from (Fault(*one) for one in check_settings.faults(configuration))
    yield from (Fault(one.kind, one.message) for one in endings(configuration, now()))
    yield from (Fault(*one) for one in check_machine.faults(configuration))
    yield from (Fault(*one) for one in _of_ledger(configuration))


def _of_names(config: Path, models: Path) -> Iterator[tuple[str, str]]:
    """A file under a wrong name changes nothing, and nothing else would say so."""
    for file in sorted(one for one in config.glob("*.toml") if one.name not in FILES):
        yield "configuration-name", f"{file}: is not read: the names are {', '.join(FILES)}"
    for folder in sorted(one for one in models.glob("[!.]*") if one.is_dir() and not (one / CARD).exists()):
        yield "model-name", f"{folder}: is no model: it holds no {CARD}; give it one, or move it elsewhere"


def _of_models(configuration: Configuration) -> Iterator[tuple[str, str]]:
    unusable: list[CardInvalid] = []
    models = installed_models(configuration.models, unusable=lambda _name, error: unusable.append(error))
    yield from (("model-card", f"{error}; mend the card, or remove the model") for error in unusable)
    yield from check_settings.route_faults(configuration, model_facts(models))
    for name in sorted({route.model for route in configuration.routes if route.enabled} & models.keys()):
        model = models[name]
        if isinstance(model, NetworkModel):
            if words := model.lacking:
                yield "model-extra", f"model {name}: {words}"
            yield from _of_weights(name, model)
    if any(configuration.models.glob(f"*/{CARD}")):
        yield from _of_network(configuration.settings.state.database_url)


def _of_weights(name: str, model: NetworkModel) -> Iterator[tuple[str, str]]:
    """Every job of the model would fail by them, and none says so before."""
    for network in model.networks:
        try:
            check_pinned(network.weights, network.sha256)
        except CardInvalid as error:
            yield "model-weights", f"model {name}: {error}"
        except OSError as error:
            yield (
                "model-weights",
                f"model {name}: {network.weights} cannot be read ({error.strerror}): look who owns it",
            )


def _of_network(database_url: str) -> Iterator[tuple[str, str]]:
    """Model workers run networks of other people: they should reach nobody."""
    if needs_network(database_url):
        yield (
            "model-network",
            "model workers keep the network, because the database is reached over it: let state.database_url name "
            "PostgreSQL's socket (?host=/var/run/postgresql), or forbid their host to reach anything else",
        )
    elif not can_leave_network():
        yield (
            "model-network",
            "model workers keep the network, because this system lets nobody leave it: allow user namespaces "
            "(kernel.unprivileged_userns_clone, or the container's security options), or forbid it in a firewall",
        )


def _of_ledger(configuration: Configuration) -> Iterator[tuple[str, str]]:
    state = configuration.settings.state
    home = state.home.absolute()
    if home.exists() and not check_machine.is_ours(home):
        return
    if not state.database_url and not (home / "ledger.sqlite").exists():
        yield from check_ledger.lost(home)
        return
    ledger = Ledger(state.url)
    try:
        node = configuration.settings.node
        processes = 1 + node.cpu_workers + node.model_workers  # the service besides
        yield from check_ledger.faults(ledger, home, now(), processes)
    except LedgerUnusable as error:
        yield "ledger", str(error)
    except ConfigurationInvalid as error:
        yield "ledger-owner", str(error)
    finally:
        ledger.close()
