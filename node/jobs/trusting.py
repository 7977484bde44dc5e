"""The trust of a person of the site, who has read what a MONAI bundle builds and evaluates: given, and shown."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import tomlkit

from ai.contract import Model
from ai.networks.model import CARD, NetworkModel
from node.errors import ConfigurationInvalid
from node.state.replaced import replace_text


@dataclass(frozen=True)
class Trust:
    """file: a bundle's configuration, with its SHA-256 as it is now. beyond: what of it no bundle may by itself.

    by: who vouches for it as it is now, and since when; empty where nobody does.
    """

    file: Path
    sha256: str
    beyond: tuple[str, ...]
    by: str

    @property
    def words(self) -> str:
        """Who trusts it, and what to do where nobody does and it needs it."""
        if self.by:
            return f"by {self.by}, for its configuration as it is now"
        return f"NO, and it needs it: isocenter models trust ({self.beyond[0]})" if self.beyond else "not needed"


def trust_in(model: Model) -> Trust | None:
    """None for a model that is no bundle. Raises CardInvalid where its configuration cannot be read."""
    if not isinstance(model, NetworkModel) or (found := model.configuration) is None:
        return None
    holds = model.network.trusted == found.sha256
    return Trust(found.file, found.sha256, found.beyond, (model.network.trusted_by or "nobody named") if holds else "")


def give_trust(model: Model, by: str, now: datetime, agreed: Callable[[Trust], bool]) -> bool:
    """Write into the model's card who trusts its configuration; False where `agreed` said no.

    Raises ConfigurationInvalid where there is nothing to trust.
    """
    found = trust_in(model)
    if found is None:
        raise ConfigurationInvalid(f"{model.card.name} is no MONAI bundle: nothing in it is built by a name of its own")
    if not found.beyond:
        raise ConfigurationInvalid(f"{model.card.name} needs no trust: it builds and evaluates what every bundle may")
    if not by.strip():
        raise ConfigurationInvalid("say who vouches for it: --by 'A. Physicist'")
    if not agreed(found):
        return False
    card = found.file.parents[1] / CARD
    content = tomlkit.parse(card.read_text(encoding="utf-8"))
    content["network"].update({"trusted": found.sha256, "trusted_by": f"{by.strip()}, {now:%Y-%m-%d}"})
    replace_text(card, tomlkit.dumps(content))
    return True


def without_trust(card: Path) -> None:
    """Take out of a card that comes from elsewhere what it says of trust: that is the site's to give."""
    content = tomlkit.parse(card.read_text(encoding="utf-8"))
    network = content.get("network")
    if isinstance(network, dict) and {"trusted", "trusted_by"} & set(network):
        for key in ("trusted", "trusted_by"):
            network.pop(key, None)
        card.write_text(tomlkit.dumps(content), encoding="utf-8")
