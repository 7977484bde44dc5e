"""The catalogue: a file NAME.toml for each published model, with its card, where it is had, and what is known of it."""

from dataclasses import dataclass
from pathlib import Path

from ai.card import read_card
from ai.contract import ModelCard
from ai.errors import CardInvalid
from ai.tables import TableReader, read_tables


@dataclass(frozen=True)
class Published:
    """One entry. verified: it was run by us, on images; else `read` says what was read.

    source: where the file is had, empty where the model ships. sha256: of that file, empty where it is not known.
    folder: the model's own within an archive; None where the file is the network itself.
    """

    file: Path
    name: str
    verified: bool
    read: str
    source: str
    licence: str
    sha256: str
    folder: str | None

    @property
    def ships(self) -> bool:
        """The model comes with the product."""
        return not self.source

    @property
    def card(self) -> ModelCard:
        """The card of a model that does not ship. Raises CardInvalid."""
        return read_card(self.file)


def read_catalogue(models: Path) -> dict[str, Published]:
    """Every entry by name. Raises CardInvalid, with file and key, where one cannot be read."""
    return {file.stem: _entry(file) for file in sorted(models.glob("*.toml"))}


def _entry(file: Path) -> Published:
    top = read_tables(file)
    table = TableReader({"catalogue": top.get("catalogue", {})}, str(file)).table("catalogue")
    found = Published(
        file=file,
        name=file.stem,
        verified=table.take("verified", bool),
        read=table.take("read", str),
        source=table.take("source", str, ""),
        licence=table.take("licence", str),
        sha256=table.take("sha256", str, ""),
        folder=table.take("folder", str) if table.has("folder") else None,
    )
    table.finish()
    if found.source and top.get("name") != file.stem:
        raise CardInvalid(f"{file}: name is {top.get('name')!r}; an entry of the catalogue is called as its model is")
    return found
