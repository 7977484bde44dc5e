"""Reads the configuration folder and the environment into one Configuration, or says what is wrong and where."""

import difflib
import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from node.errors import ConfigurationInvalid
from node.settings import Configuration, NodeSettings, Peer, Peers, Routes, Table

FILES = ("node.toml", "peers.toml", "routes.toml")
_HEADER = re.compile(r"^\s*(\[{1,2})\s*([A-Za-z0-9_.\-\"]+)\s*\]{1,2}")
T = TypeVar("T", bound=Table)
Loc = tuple[int | str, ...]


def read_configuration(
    folder: Path, environment: Mapping[str, str] | None = None, *, instead: Mapping[str, str] | None = None
) -> Configuration:
    """Read node.toml, peers.toml and routes.toml; a file that is absent means its defaults.

    instead: texts that files are to have, by file name; they are read as if they stood there already.
    Raises ConfigurationInvalid, one line per fault: file, line, what is wrong and what was meant.
    """
    environment = os.environ if environment is None else environment
    instead = instead or {}
    settings = _read(folder / "node.toml", NodeSettings, _overrides(environment), instead)
    peers = _read(folder / "peers.toml", Peers, {}, instead).peer
    routes = _read(folder / "routes.toml", Routes, {}, instead).route
    found = Configuration(settings=settings, models=folder / "models", peers=peers, routes=routes)
    faults = _disagreements(found)
    if faults:
        raise ConfigurationInvalid("\n".join(faults))
    return found


def _overrides(environment: Mapping[str, str]) -> dict[str, dict[str, object]]:
    """Values set outside the files: ISOCENTER__SECTION__KEY, and the two that have names of their own."""
    found: dict[str, dict[str, object]] = {}
    for name, text in environment.items():
        parts = name.split("__")
        if len(parts) == 3 and parts[0] == "ISOCENTER":
            found.setdefault(parts[1].lower(), {})[parts[2].lower()] = _value(text)
    if environment.get("ISOCENTER_HOME"):
        found.setdefault("state", {})["home"] = environment["ISOCENTER_HOME"]
    if environment.get("ISOCENTER_DATABASE_URL"):
        found.setdefault("state", {})["database_url"] = environment["ISOCENTER_DATABASE_URL"]
    return found


def _value(text: str) -> object:
    """A value as TOML would read it; plain text where it is not TOML."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _read(file: Path, kind: type[T], overrides: Mapping[str, Mapping[str, object]], instead: Mapping[str, str]) -> T:
    try:
        text = instead[file.name] if file.name in instead else file.read_text(encoding="utf-8")
    except FileNotFoundError:
        text = ""
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationInvalid(f"{file}: cannot be read: {error}") from error
    try:
        content: dict[str, object] = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationInvalid(f"{file}: is not TOML: {error}") from error
    for section, values in overrides.items():
        table = content.get(section, {})
        content[section] = {**table, **values} if isinstance(table, dict) else dict(values)
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        faults = [_fault(file, text, kind, one["loc"], one["type"], one["msg"]) for one in error.errors()]
        raise ConfigurationInvalid("\n".join(faults)) from error


def _fault(file: Path, text: str, kind: type[BaseModel], loc: Loc, fault: str, message: str) -> str:
    keys = [str(part) for part in loc if isinstance(part, str)]
    named = ".".join(keys)
    where = f"{file}, line {_line(text, loc)}"
    if fault != "extra_forbidden":
        return f"{where}: {named}: {message.removeprefix('Value error, ')}"
    near = difflib.get_close_matches(keys[-1], _known_keys(kind, loc[:-1]), 1)
    meant = f"; did you mean {near[0]}?" if near else ""
    return f"{where}: unknown key {named}{meant}"


def _known_keys(kind: type[BaseModel], loc: Loc) -> list[str]:
    """Keys that the table at `loc` knows, found by walking the classes of the tables."""
    for part in loc:
        if isinstance(part, str) and part in kind.model_fields:
            inner = kind.model_fields[part].annotation
            candidates = [inner, *getattr(inner, "__args__", ())]
            tables = [one for one in candidates if isinstance(one, type) and issubclass(one, BaseModel)]
            kind = tables[0] if tables else kind
    return [field.alias or name for name, field in kind.model_fields.items()]


def _line(text: str, loc: Loc) -> int:
    """The line a fault is on: the key's within its table, else the table's header, else the first."""
    tables = [str(part) for part in loc if isinstance(part, str)]
    index = next((part for part in loc if isinstance(part, int)), 0)
    key = re.compile(rf"\s*{re.escape(tables[-1])}\s*=")
    best, current, seen = 1, "", -1
    for number, line in enumerate(text.split("\n"), 1):
        header = _HEADER.match(line)
        if header:
            current = header.group(2)
            seen += header.group(1) == "[[" and current == tables[0]
            if current.split(".")[0] == tables[0] and (header.group(1) == "[" or seen == index):
                best = number
        elif current.split(".")[0] == tables[0] and seen in (-1, index) and key.match(line):
            return number
    return best


def _disagreements(configuration: Configuration) -> list[str]:
    """Faults that no single file shows."""
    faults = []
    peers = {peer.name: peer for peer in configuration.peers}
    for names, what in (
        ([peer.name for peer in configuration.peers], "peers.toml: peer"),
        ([route.name for route in configuration.routes], "routes.toml: route"),
    ):
        faults += [
            f"{what} {name!r} is there twice; rename one" for name in sorted({n for n in names if names.count(n) > 1})
        ]
    faults += [
        f"peers.toml: peer {peer.name!r} has tls, for which this node needs a certificate: fill in [tls] of node.toml"
        for peer in configuration.peers
        if peer.tls and not configuration.settings.tls.is_set
    ]
    faults += [
        f"peers.toml: peer {peer.name!r} names archive {peer.archive!r}, which is unknown or cannot be asked: "
        "add it to peers.toml, with address and port or a url"
        for peer in configuration.peers
        if peer.commitment and not _can_be_asked(peers.get(peer.archive))
    ]
    for route in configuration.routes:
        for name in (*route.sources, *route.destinations):
            if name not in peers:
                near = difflib.get_close_matches(name, peers, 1)
                meant = f"; did you mean {near[0]}?" if near else "; add it to peers.toml"
                faults.append(f"routes.toml: route {route.name!r} names peer {name!r}, which is unknown{meant}")
        faults += [
            f"routes.toml: route {route.name!r} sends to {name!r}, whose roles in peers.toml lack destination"
            for name in route.destinations
            if name in peers and "destination" not in peers[name].roles
        ]
        faults += [
            f"routes.toml: route {route.name!r} expects called AE title {title!r}, which is not in node.ae_titles"
            for title in route.to_ae
            if title not in configuration.settings.node.ae_titles
        ]
    return faults


def _can_be_asked(peer: Peer | None) -> bool:
    return peer is not None and bool((peer.address and peer.port) or peer.url)
