"""Commands for the models of a site: models list, show, fetch, install, trust."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from node.cli import here, offline
from node.cli.offline import AsJson
from node.errors import NotFound

if TYPE_CHECKING:
    from ai.contract import Model, ModelCard
    from node.jobs.installing import Offered
    from node.jobs.published import Published


def add_to(_app: typer.Typer) -> None:
    offline.models.command("list")(list_models)
    offline.models.command("show")(show_model)
    offline.models.command("fetch")(fetch_model)
    offline.models.command("install")(install_model)
    offline.models.command("trust")(trust_model)


def list_models(as_json: AsJson = False) -> None:
    """Installed models, and those of the catalogue that `isocenter models fetch` installs.

    Exit code 1: one of them cannot be used; what is said beside the list tells why.

    Example: isocenter models list
    """
    from node.jobs.catalogue import installed_models
    from node.jobs.published import read_catalogue

    entries = read_catalogue(here.models_folder())
    faults: dict[str, str] = {}
    installed = installed_models(here.models_folder(), unusable=lambda name, error: faults.update({name: str(error)}))
    cards = {name: model.card for name, model in installed.items()}
    offered = {name: entry.card for name, entry in entries.items() if name not in cards and not entry.ships}
    rows: list[here.Row] = [
        {
            "name": card.name,
            "version": card.version,
            "vendor": card.vendor,
            "title": card.title,
            "modality": ", ".join(" or ".join(one.modalities) for one in card.inputs),
            "memory_mb": card.memory_mb,
            "digest": card.digest[:12] if card.name in cards else "",
            "verified": _verified(entries.get(card.name)),
            "state": "installed" if card.name in cards else "to be fetched",
        }
        for card in (*cards.values(), *offered.values())
    ]
    unknown = dict.fromkeys(("version", "vendor", "title", "modality", "memory_mb", "digest", "verified"), "")
    rows += [{"name": name, **unknown, "state": "cannot be used"} for name in faults]
    here.show(rows, as_json=as_json, empty="no model is installed")
    for name, why in faults.items():
        typer.echo(f"{name}: {why}", err=True)
    if faults:
        raise typer.Exit(1)


def show_model(
    name: Annotated[str, typer.Argument(help="A model's name, as `isocenter models list` shows it.")],
) -> None:
    """What a model is, accepts and finds, and what is known of it: whether it was run, or only read about.

    Example: isocenter models show totalsegmentator-total-fast
    """
    from ai.registry import find_model, model_names
    from node.jobs.published import read_catalogue

    entries = read_catalogue(here.models_folder())
    entry = entries.get(name)
    offered = entry is not None and not entry.ships and name not in model_names(here.models_folder())
    model = None if offered else find_model(name, here.models_folder())
    card = model.card if model is not None else entries[name].card
    print(f"{card.name} {card.version} by {card.vendor}: {card.title}\n{card.intended_use}")
    for one in card.not_validated_for:
        print(f"  not validated for {one}")
    print(f"licence  {card.licence}\nstate    {'to be fetched' if offered else 'installed'}")
    if entry is not None:
        print(f"verified {'yes' if entry.verified else 'NO: never run by us'}. {entry.read}")
        print(f"source   {entry.source or 'ships with Isocenter'}")
    if model is not None:
        _show_installed(model)
    elif entry is not None:
        print(f"sha256   {entry.sha256 or 'shown when it is fetched'}")
    print("accepts  " + "; ".join(f"{one.name}: {' or '.join(one.modalities)}" for one in card.inputs))
    print("finds    " + ", ".join(_labels(card)))


def _show_installed(model: "Model") -> None:
    """What decides what it finds, and whose trust it has."""
    from ai.networks.model import NetworkModel
    from node.jobs.trusting import trust_in

    for network in model.networks if isinstance(model, NetworkModel) else ():
        print(f"sha256   {network.sha256} ({network.weights.name})")
    print(f"digest   {model.card.digest} (of card, code and network)")
    trust = trust_in(model)
    if trust is not None:
        print(f"trusted  {trust.words}")


def _labels(card: "ModelCard") -> list[str]:
    regions = [one.label for one in card.segments] + [one.label for one in card.detections]
    values = [one.label for one in card.classifications] + [one.label for one in card.measurements]
    return regions + values + [one.label for one in card.maps] + [one.label for one in card.derived]


def fetch_model(
    name: Annotated[str, typer.Argument(help="A model of the catalogue, as `isocenter models list` shows it.")],
    file: Annotated[
        Path | None, typer.Option(help="What its source gives, where this machine has no way to it.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Fetch and install without asking.")] = False,
) -> None:
    """Fetch a model of the catalogue from its publisher, after showing licence and size; then digest, and install it.

    A running node takes it within seconds. Exit code 1: not installed.

    Example: isocenter models fetch totalsegmentator-total-fast
    """
    from node.jobs.fetching import Coming, fetch
    from node.jobs.published import read_catalogue

    entries = read_catalogue(here.models_folder())
    if name not in entries:
        raise NotFound(f"the catalogue has no {name!r}; it has: {', '.join(entries) or 'nothing'}")

    def wanted(coming: Coming) -> bool:
        size = "not told" if coming.size_mb is None else f"{coming.size_mb:.1f} MB"
        print(f"source   {coming.entry.source}\nlicence  {coming.entry.licence}\nsize     {size}")
        print(f"verified {'yes' if coming.entry.verified else 'NO: never run by us'}. {coming.entry.read}")
        return yes or typer.confirm("Fetch it?")

    folder = fetch(entries[name], here.models_folder(), file=file, wanted=wanted, agreed=_agreed(yes=yes))
    _tell(folder)


def _verified(entry: "Published | None") -> str:
    return "" if entry is None else "yes" if entry.verified else "no"


def install_model(
    source: Annotated[Path, typer.Argument(help="A folder or zip archive with a card.toml.")],
    yes: Annotated[bool, typer.Option("--yes", help="Install without asking.")] = False,
) -> None:
    """Install a model without code, after showing its licence, size and digest. Nothing in it is run.

    A running node takes it within seconds. Exit code 1: not installed.

    Example: isocenter models install ~/spleen.zip
    """
    from node.jobs.installing import install

    _tell(install(source, here.models_folder(), _agreed(yes=yes)))


def _agreed(*, yes: bool) -> "Callable[[Offered], bool]":
    """Shows what is to be installed, and asks."""

    def agreed(offered: "Offered") -> bool:
        card = offered.card
        print(f"{card.name} {card.version} by {card.vendor}: {card.title}\n{card.intended_use}")
        print(f"licence  {card.licence}{f' (see {offered.licence_file})' if offered.licence_file else ''}")
        print(f"size     {offered.size_mb:.1f} MB\nsha256   {offered.weights_sha256} (of the network)")
        for found in offered.beyond:
            print(f"untrusted {found}")
        if offered.beyond:
            print(f"It will not run before somebody has read this: isocenter models trust {card.name}")
        return yes or typer.confirm("Install it?")

    return agreed


def trust_model(
    name: Annotated[str, typer.Argument(help="A MONAI bundle that is installed.")],
    by: Annotated[str, typer.Option(help="Who has read its configuration and vouches for it; kept in card and log.")],
    yes: Annotated[bool, typer.Option("--yes", help="Trust it without asking.")] = False,
) -> None:
    """Let a bundle build and evaluate what its configuration names, after showing what that is.

    Such names can run any code: read the file first. It is trusted as it is now; once it changes, it is not. A running
    node takes it within seconds. Exit code 1: not trusted.

    Example: isocenter models trust spleen --by "A. Physicist"
    """
    from ai.registry import find_model
    from node.jobs.trusting import Trust, give_trust

    def agreed(trust: Trust) -> bool:
        print(f"file     {trust.file}\nsha256   {trust.sha256}")
        for one in trust.beyond:
            print(f"beyond   {one}")
        return yes or typer.confirm("Have you read it, and do you trust it?")

    if not give_trust(find_model(name, here.models_folder()), by, here.now(), agreed):
        print("not trusted")
        raise typer.Exit(1)
    print(f"{name} is trusted by {by}")


def _tell(folder: Path | None) -> None:
    if folder is None:
        print("not installed")
        raise typer.Exit(1)
    print(f"installed in {folder}")
