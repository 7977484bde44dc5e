"""What the service does by the peers and routes of the configuration: made anew as a whole where these are replaced."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from node.core.model import ModelFacts
from node.core.provenance import settings_digest
from node.intake.gathering import Rules
from node.intake.pledging import Pledging
from node.intake.routes import compile_route
from node.sending.courier import Courier
from node.sending.reporting import Reporting
from node.sending.senders import sender_to
from node.service.destinations import archives_of, askers_of, choosing_of, destinations_of, sources_of
from node.service.expiring import Expiring
from node.service.source_count import SourceCount
from node.service.survey import Survey
from node.service.unannounced import Unannounced
from node.settings import Configuration
from node.state.ledger import Ledger
from node.state.queue import Queue
from node.state.spool import Spool

SERIES_BASE = 9001


@dataclass(frozen=True)
class Arranged:
    """Each part holds the configuration that it was made for, and nothing that must outlive it."""

    configuration: Configuration
    rules: Rules
    source_count: SourceCount
    courier: Courier
    pledging: Pledging
    reporting: Reporting
    unannounced: Unannounced
    survey: Survey
    expiring: Expiring


def arrange(
    configuration: Configuration,
    ledger: Ledger,
    queue: Queue,
    spool: Spool,
    home: Path,
    models: Mapping[str, ModelFacts],
    now: Callable[[], datetime],
) -> Arranged:
    """Raises ConfigurationInvalid where a route names what is not there, or a certificate cannot be read."""
    sending = configuration.settings.sending
    routes = [(route, compile_route(route, models)) for route in configuration.routes]
    destinations = destinations_of(configuration)
    return Arranged(
        configuration,
        Rules(configuration, routes, models, settings_digest(series_base=SERIES_BASE)),
        SourceCount(ledger, sources_of(configuration), now),
        Courier(ledger, queue, sender_to, home=home, destinations=destinations, settings=sending, clock=now),
        Pledging(
            ledger, spool, home, {peer.name: peer.archive for peer in configuration.peers if peer.commitment}, now
        ),
        Reporting(ledger, askers_of(configuration), archives_of(configuration), sending, now),
        Unannounced(
            ledger,
            queue,
            frozenset(peer.name for peer in configuration.peers if peer.failures),
            timedelta(days=sending.give_up_days),
            now,
        ),
        Survey(ledger, choosing_of(configuration), now),
        Expiring(configuration, now),
    )
