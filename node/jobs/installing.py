"""Installs a model without code among those of this site: judged, pinned, and there whole or not at all."""

import hashlib
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import tomlkit
from tomlkit.exceptions import TOMLKitError

from ai.contract import ModelCard
from ai.errors import CardInvalid
from ai.networks.archive import copy_folder, plain_files, unpack
from ai.networks.model import CARD, NetworkModel
from ai.networks.weights import read_pinned
from ai.registry import model_names
from node.errors import ConfigurationInvalid, NotFound
from node.jobs.trusting import trust_in, without_trust

NAMED = 12
"""Files of an offered folder that a message names."""

LICENCES = ("LICENSE", "LICENCE", "LICENSE.txt", "LICENSE.md")


@dataclass(frozen=True)
class Offered:
    """A model that may be installed, as a person is to see it first."""

    card: ModelCard
    weights_sha256: str
    size_mb: float
    licence_file: str
    beyond: tuple[str, ...]
    """What it builds and evaluates that nobody at this site has trusted yet, each with its place."""


def install(source: Path, models: Path, agreed: Callable[[Offered], bool]) -> Path | None:
    """Install a folder or zip archive; the folder it lies in then, or None where `agreed` said no.

    The card's pin is checked against the network's file; an empty one is filled in. What the card says of trust is left
    out: a model cannot vouch for itself. Raises NotFound; CardInvalid for what cannot be used; ConfigurationInvalid
    where a model of that name is there.
    """
    if not source.exists():
        raise NotFound(f"{source}: no such file or folder")
    models.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".incoming-", dir=models) as aside, _named(Path(aside) / "model", source):
        folder = _taken(source, Path(aside) / "model")
        _pin(folder / CARD)
        without_trust(folder / CARD)
        model = NetworkModel(folder)
        for network in model.networks:
            read_pinned(network.weights, network.sha256)
        name = model.card.name
        if name in model_names(models):
            raise ConfigurationInvalid(f"a model called {name!r} is installed; remove {models / name} first")
        if not agreed(_offered(folder, model)):
            return None
        for one in plain_files(folder):
            _flush(one)
        folder.rename(models / name)
        _flush(models)
    return models / name


@contextmanager
def _named(aside: Path, source: Path) -> Iterator[None]:
    """What is said of the files that were put aside is said of those that were offered: the others are gone by then."""
    try:
        yield
    except CardInvalid as error:
        raise CardInvalid(str(error).replace(str(aside), str(source))) from error


def _taken(source: Path, folder: Path) -> Path:
    """The model's own folder below `folder`: where the card lies."""
    folder.mkdir()
    if source.is_dir():
        copy_folder(source, folder)
    else:
        unpack(source, folder)
    inside = [one for one in folder.iterdir() if one.is_dir()]
    if not (folder / CARD).is_file() and len(inside) == 1:
        folder = inside[0]
    if not (folder / CARD).is_file():
        raise CardInvalid(f"{source}: holds no {CARD}; docs/extend/bring-a-model.md says what is in one")
    return folder


def _pin(card: Path) -> None:
    """Write the digest of each network's file into a card that leaves it empty; comments stay."""
    try:
        content = tomlkit.parse(card.read_text(encoding="utf-8"))
    except (TOMLKitError, UnicodeDecodeError) as error:
        raise CardInvalid(f"{card}: cannot be read as TOML: {error}") from error
    region = content.get("region")
    tables = [content.get("network"), region.get("network") if isinstance(region, dict) else None]
    for network in tables:
        if isinstance(network, dict) and isinstance(network.get("weights"), str) and not network.get("sha256"):
            network["sha256"] = _digest_of(card.parent, network["weights"], card)
    card.write_text(tomlkit.dumps(content), encoding="utf-8")


def _digest_of(folder: Path, name: str, card: Path) -> str:
    file = (folder / name).resolve()
    if not file.is_relative_to(folder.resolve()):
        raise CardInvalid(f"{card}: weights must be a file in the model's own folder, found {name!r}")
    if not file.is_file():
        there = ", ".join(sorted(str(one.relative_to(folder)) for one in plain_files(folder))[:NAMED])
        raise CardInvalid(f"{card}: weights names {name!r}, and no such file is in the folder; there are {there}")
    with file.open("rb") as weights:
        return hashlib.file_digest(weights, "sha256").hexdigest()


def _offered(folder: Path, model: NetworkModel) -> Offered:
    files, trust = plain_files(folder), trust_in(model)
    return Offered(
        card=model.card,
        weights_sha256=model.network.sha256,
        size_mb=sum(one.stat().st_size for one in files) / 1e6,
        licence_file=next((name for name in LICENCES if (folder / name).is_file()), ""),
        beyond=() if trust is None else trust.beyond,
    )


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
