"""Reads the configuration folder and the environment into one Configuration, or says what is wrong and where."""

import difflib
import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from node.errors import ConfigurationInvalid
from node.settings import Configuration, NodeSettings, Peer, Peers, Routes, Table

FILES = ("node.toml", "peers.toml", "routes.toml")
_HEADER = re.compile(r"^\s*(\[{1,2})([A-Za-z0-9_.\-\"' \t]+)\]{1,2}")
_KEY = re.compile(r"^([A-Za-z0-9_.\-\"' \t]+)=")
T = TypeVar("T", bound=Table)
Loc = tuple[int | str, ...]


@dataclass(frozen=True)
class Override:
    """A value that the environment sets. variable: which one of it does."""

    variable: str
    value: object


Overrides = Mapping[str, Mapping[str, Override]]
"""By section and key of node.toml."""


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


def _overrides(environment: Mapping[str, str]) -> Overrides:
    """Values set outside the files: ISOCENTER__SECTION__KEY, and the two that have names of their own."""
    found: dict[str, dict[str, Override]] = {}
    for name, text in environment.items():
        parts = name.split("__")
        if len(parts) == 3 and parts[0] == "ISOCENTER":
            found.setdefault(parts[1].lower(), {})[parts[2].lower()] = Override(name, _value(text))
    for name, key in (("ISOCENTER_HOME", "home"), ("ISOCENTER_DATABASE_URL", "database_url")):
        if environment.get(name):
            found.setdefault("state", {})[key] = Override(name, environment[name])
    return found


def _value(text: str) -> object:
    """A value as TOML would read it; plain text where it is not TOML."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def read_text(file: Path) -> str:
    """What a file of the configuration says, without the mark that some editors put before UTF-8. Raises OSError, and
    ConfigurationInvalid where it is not UTF-8."""
    content = file.read_bytes()
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise ConfigurationInvalid(f"{file}, line {line}: is not UTF-8: save the file in that encoding") from error
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _read(file: Path, kind: type[T], overrides: Overrides, instead: Mapping[str, str]) -> T:
    try:
        text = instead[file.name] if file.name in instead else read_text(file)
    except FileNotFoundError:
        text = ""
    except OSError as error:
        raise ConfigurationInvalid(f"{file}: cannot be read: {error}") from error
    try:
        content: dict[str, object] = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationInvalid(f"{file}: is not TOML: {error}") from error
    for section, values in overrides.items():
        table = content.get(section, {})
        given = {key: one.value for key, one in values.items()}
        content[section] = {**table, **given} if isinstance(table, dict) else given
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        faults = []
        for one in error.errors():
            where = _variable(text, overrides, one["loc"]) or f"{file}, line {_line(text, one['loc'])}"
            faults.append(f"{where}: {_fault(kind, one['loc'], one['type'], one['msg'])}")
        raise ConfigurationInvalid("\n".join(faults)) from error


def _fault(kind: type[BaseModel], loc: Loc, fault: str, message: str) -> str:
    keys = [str(part) for part in loc if isinstance(part, str)]
    named = ".".join(keys)
    if fault == "extra_forbidden":
        near = difflib.get_close_matches(keys[-1], _known_keys(kind, loc[:-1]), 1)
        meant = f"; did you mean {near[0]}?" if near else ""
        return f"unknown key {named}{meant}"
    if fault == "tuple_type" and len(loc) == 1:
        return f"{named}: write each as a table of its own, under [[{named}]]"
    if fault == "tuple_type":
        return f'{named}: is a list: write it in brackets, as ["…"]'
    return f"{named}: {message.removeprefix('Value error, ')}"


def _variable(text: str, overrides: Overrides, loc: Loc) -> str:
    """The variable of the environment that a fault is in; empty where it is in the file."""
    values = overrides.get(str(loc[0]), {}) if loc else {}
    if len(loc) > 1:
        return values[str(loc[1])].variable if str(loc[1]) in values else ""
    return "" if f"[{loc[0]}]" in text else ", ".join(one.variable for one in values.values())


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
    """The line a fault is on: that of its key, else of the innermost table around it, else the first."""
    names = [str(part) for part in loc if isinstance(part, str)]
    index = next((part for part in loc if isinstance(part, int)), 0)
    best, depth, table, seen = 1, 0, list[str](), -1
    for number, line in enumerate(text.split("\n"), 1):
        found: list[str] = []
        if header := _HEADER.match(line):
            found = table = _parted(header.group(2))
            seen += header.group(1) == "[[" and table == names[:1]
        elif key := _KEY.match(line):
            found = [*table, *_parted(key.group(1))]
        if len(found) > depth and found == names[: len(found)] and seen in (-1, index):
            best, depth = number, len(found)
    return best


def _parted(dotted: str) -> list[str]:
    return [one.strip(" \t\"'") for one in dotted.split(".")]


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
