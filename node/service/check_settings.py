"""Faults of the configuration that make no file invalid: what nobody can send, what goes nowhere, what goes round."""

import ipaddress
import stat
from collections.abc import Iterator, Mapping
from itertools import combinations
from pathlib import Path

from node.core.model import ModelFacts
from node.errors import ConfigurationInvalid
from node.intake.routes import compile_route
from node.intake.tls import Tls
from node.sending.senders import echo
from node.service.destinations import destination_of
from node.settings import Configuration, NodeSettings, Peer

Told = Iterator[tuple[str, str]]
ECHO_TIMEOUT_S = 5.0


def route_faults(configuration: Configuration, models: Mapping[str, ModelFacts]) -> Told:
    """Routes that cannot run."""
    for route in configuration.routes:
        try:
            compile_route(route, models)
        except ConfigurationInvalid as error:
            yield "route", str(error)


def faults(configuration: Configuration) -> Told:
    """Everything else that the settings show, and whether destinations answer."""
    yield from _callers(configuration)
    yield from _tls(configuration)
    yield from _secrets(configuration)
    yield from _routes(configuration)
    yield from _peers(configuration)
    admin = configuration.settings.admin
    if not _is_loopback(admin.bind):
        yield "admin-open", f"admin.bind is {admin.bind}: others can see the operator's window; set 127.0.0.1"
    used = {name for route in configuration.routes if route.enabled for name in route.destinations}
    ours = configuration.settings
    for peer in configuration.peers:
        if peer.name in used:
            yield from _echo(peer, ours)


def _callers(configuration: Configuration) -> Told:
    accepts_anybody = configuration.settings.intake.unknown_callers == "accept"
    if accepts_anybody:
        yield "callers", 'intake.unknown_callers is "accept": anybody may send; set "reject" and list peers'
    elif not any("source" in peer.roles for peer in configuration.peers):
        yield "no-source", "peers.toml lists nobody who may send: add a [[peer]] with the role source"


def _tls(configuration: Configuration) -> Told:
    if configuration.settings.tls.is_set:
        try:
            Tls(configuration.settings.tls)
        except ConfigurationInvalid as error:
            yield "tls", str(error)


def _secrets(configuration: Configuration) -> Told:
    """What callers must know, and what this node shows others, in files of its own."""
    named = [("tls.key in node.toml", configuration.settings.tls.key)]
    for peer in configuration.peers:
        of = f"of peer {peer.name} in peers.toml"
        asked = [(f"passcode_file {of}", peer.passcode_file), (f"token_file {of}", peer.token_file)]
        for setting, path in asked:
            if path and (fault := _unreadable(Path(path))):
                yield "secret", f"{setting}: {path} {fault}: it is not let in; put its secret there"
        named += [*asked, (f"web_secret_file {of}", peer.web_secret_file)]
    for setting, path in named:
        if path and _is_open(Path(path)):
            yield "secret-open", f"{setting}: every user of this machine can read {path}: chmod o-rwx {path}"


def _unreadable(path: Path) -> str:
    try:
        return "" if path.read_bytes().strip() else "is empty"
    except OSError as error:
        return f"cannot be read ({error.strerror})"


def _is_open(path: Path) -> bool:
    try:
        return bool(path.stat().st_mode & stat.S_IROTH)
    except OSError:  # of a file that is not there, or not ours to see
        return False


def _routes(configuration: Configuration) -> Told:
    if not any(route.enabled for route in configuration.routes):
        yield "no-route", "no route is enabled: studies are kept and nothing is done with them; add a [[route]]"
    sources = {peer.name for peer in configuration.peers if "source" in peer.roles}
    for route in configuration.routes:
        if route.enabled and route.sources and not sources.intersection(route.sources):
            names = ", ".join(route.sources)
            yield "route-source", f"route {route.name} takes from {names}, whose roles lack source: nothing can come"


def _peers(configuration: Configuration) -> Told:
    node = configuration.settings.node
    for one, other in combinations(configuration.peers, 2):
        if one.ae_title == other.ae_title and _may_be_confused(one, other):
            yield (
                "same-title",
                (
                    f"peers {one.name} and {other.name} both call as {one.ae_title} from the same addresses: "
                    "set addresses of each, or give one another AE title"
                ),
            )
    for peer in configuration.peers:
        is_here = _is_loopback(peer.address) and peer.port == node.port
        if "destination" in peer.roles and is_here and peer.ae_title in node.ae_titles:
            yield "loop", f"peer {peer.name} is this node: results would come back; correct its address and port"


def _may_be_confused(one: Peer, other: Peer) -> bool:
    if not one.addresses or not other.addresses:
        return not one.addresses and not other.addresses
    return any(a.version == b.version and a.overlaps(b) for a in one.addresses for b in other.addresses)


def _echo(peer: Peer, ours: NodeSettings) -> Told:
    try:
        report = echo(destination_of(peer, ours, timeout_s=ECHO_TIMEOUT_S))
    except ConfigurationInvalid as error:
        yield "certificates", str(error)
        return
    if not report.ok:
        yield "destination", f"{peer.name}: {report.text}"


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return address == "localhost"
