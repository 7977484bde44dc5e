"""Changes peers.toml and routes.toml as a person would: comments stay, and what could not be used is not written."""

import fcntl
import hashlib
import io
import os
import re
import shutil
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from enum import Enum
from itertools import pairwise
from pathlib import Path

import tomlkit
from tomlkit.exceptions import TOMLKitError

from node.configuration import read_configuration, read_text
from node.errors import ChangedMeanwhile, ConfigurationInvalid, NotFound
from node.settings import Configuration, Peer, Route
from node.state.replaced import replace_text

Value = str | int | float | bool | Sequence[str] | Mapping[str, Mapping[str, str | Sequence[str]]]
Values = Mapping[str, Value | None]
"""Keys of a table as TOML names them; None takes a key out, so that its default counts. A mapping: tables in it."""


class Kind(str, Enum):
    """What is edited: the tables of one file."""

    PEER = "peer"
    ROUTE = "route"

    @property
    def file(self) -> str:
        """The file they stand in."""
        return f"{self.value}s.toml"


def nothing_more(_configuration: Configuration) -> None:
    """No check beyond those of the settings."""


class Editor:
    """Edits the files of one configuration folder; one change at a time, by whichever process.

    Every change raises ConfigurationInvalid, and leaves the files as they are, where the whole configuration could not
    be used afterwards; `check` adds what the settings alone cannot tell. The file as it was is kept beside the new one.
    """

    def __init__(self, folder: Path, check: Callable[[Configuration], None] = nothing_more) -> None:
        self._folder, self._check = folder, check

    def read(self) -> Configuration:
        """What the files say now. Raises ConfigurationInvalid."""
        return read_configuration(self._folder)

    def would_add(self, kind: Kind, values: Values) -> None:
        """Raises ConfigurationInvalid where `add` would; nothing is written."""
        self._checked(kind, *self._added(kind, values))

    def would_change(self, kind: Kind, name: str, values: Values, *, seen: str = "") -> None:
        """Raises as `change` would; nothing is written."""
        self._check_seen(kind, name, seen)
        self._checked(kind, *self._changed(kind, name, values))

    def add(self, kind: Kind, values: Values) -> None:
        """Add a table at the end."""
        with self._alone():
            self._write(kind, *self._added(kind, values))

    def change(self, kind: Kind, name: str, values: Values, *, seen: str = "") -> None:
        """Change some keys of a table. seen: the mark of what the values were made from; where the table is another one
        by now, somebody else has changed it. Raises NotFound and ChangedMeanwhile, too."""
        with self._alone():
            self._check_seen(kind, name, seen)
            self._write(kind, *self._changed(kind, name, values))

    def remove(self, kind: Kind, name: str, *, seen: str = "") -> None:
        """Take a table out, with the comment right above it. seen: as of `change`. Raises as it does."""
        with self._alone():
            self._check_seen(kind, name, seen)
            head, blocks = self._blocks(kind)
            del blocks[_place(kind, blocks, name)]
            self._write(kind, head, blocks)

    def move(self, kind: Kind, name: str, by: int) -> None:
        """Move a table up (by < 0) or down, as far as there is room. Raises NotFound, too."""
        with self._alone():
            head, blocks = self._blocks(kind)
            place = _place(kind, blocks, name)
            blocks.insert(max(0, place + by), blocks.pop(place))
            self._write(kind, head, blocks)

    def _check_seen(self, kind: Kind, name: str, seen: str) -> None:
        if not seen:
            return
        present = next((one for one in _tables(kind, self.read()) if one.name == name), None)
        if present is not None and mark_of_table(present) != seen:
            raise ChangedMeanwhile(
                f"{kind.value} {name} was changed by somebody else meanwhile, and nothing was done: load it again"
            )

    def _added(self, kind: Kind, values: Values) -> tuple[str, list[str]]:
        head, blocks = self._blocks(kind)
        return head, [*blocks, _edited(f"[[{kind.value}]]\n", kind, values)]

    def _changed(self, kind: Kind, name: str, values: Values) -> tuple[str, list[str]]:
        head, blocks = self._blocks(kind)
        place = _place(kind, blocks, name)
        blocks[place] = _edited(blocks[place], kind, values)
        return head, blocks

    def _blocks(self, kind: Kind) -> tuple[str, list[str]]:
        """The file as what stands before the first table, and a text for each table with the comment right above it.

        Raises ConfigurationInvalid where a file that can be read cannot be taken apart so.
        """
        configuration = self.read()
        file = self._folder / kind.file
        # Lines as TOML has them: splitlines() would part a text at characters that are none of its line ends.
        lines = list(io.StringIO(read_text(file))) if file.exists() else []
        header = re.compile(rf"\s*\[\[\s*{kind.value}\s*\]\]")
        starts = []
        for number, line in enumerate(lines):
            if header.match(line):
                start = number
                while start > 0 and lines[start - 1].lstrip().startswith("#"):
                    start -= 1
                starts.append(start)
        blocks = ["".join(lines[a:b]) for a, b in pairwise([*starts, len(lines)])]
        try:
            is_apart = [_name(kind, one) for one in blocks] == [one.name for one in _tables(kind, configuration)]
        except (tomllib.TOMLDecodeError, LookupError):
            is_apart = False
        if not is_apart:
            raise ConfigurationInvalid(f"{file}: is not written as [[{kind.value}]] tables: change it in an editor")
        return "".join(lines[: starts[0]] if starts else lines), blocks

    def _checked(self, kind: Kind, head: str, blocks: Sequence[str]) -> str:
        """The new text of the file. Raises ConfigurationInvalid where the node could not run with it."""
        parts = [part.rstrip() for part in (head, *blocks)]
        text = "\n\n".join(part for part in parts if part) + "\n"
        self._check(read_configuration(self._folder, instead={kind.file: text}))
        return text

    def _write(self, kind: Kind, head: str, blocks: Sequence[str]) -> None:
        text = self._checked(kind, head, blocks)
        file = self._folder / kind.file
        try:
            if file.exists():
                shutil.copy2(file, file.with_suffix(".toml.old"))
            replace_text(file, text)
        except OSError as error:
            raise ConfigurationInvalid(
                f"{file}: cannot be written ({error.strerror}), and nothing was changed: edit it by hand, or let the "
                "node's user write in that folder (docs/operate/install.md, what you may have to change)"
            ) from error

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Between reading and writing, nobody else changes a file by this class."""
        try:
            folder = os.open(self._folder, os.O_RDONLY)
        except OSError as error:
            raise ConfigurationInvalid(f"{self._folder}: cannot be opened: {error}") from error
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)
            yield
        finally:
            os.close(folder)


def mark_of_table(table: Peer | Route) -> str:
    """By which it is seen whether a table still says what it said; its comments do not count."""
    return hashlib.sha256(table.model_dump_json().encode()).hexdigest()[:16]


def _tables(kind: Kind, configuration: Configuration) -> tuple[Peer, ...] | tuple[Route, ...]:
    return configuration.peers if kind is Kind.PEER else configuration.routes


def caller_accepted(ae_title: str, address: str = "", name: str = "") -> Values:
    """The peer that a caller becomes who may send from now on. address: it may call from there only. Raises
    ConfigurationInvalid where it is not named, and its AE title gives no name."""
    plain = "".join(one if one.isascii() and one.isalnum() else "-" for one in ae_title.lower()).strip("-")
    if not name and not plain:
        raise ConfigurationInvalid(f"{ae_title!r} has nothing that a name could be made of: give the peer one (--name)")
    return {
        "name": name or plain,
        "ae_title": ae_title,
        "roles": ["source"],
        "addresses": [address] if address else None,
    }


def _plain(value: object) -> object:
    """As TOML has it."""
    if isinstance(value, Mapping):
        return {key: _plain(one) for key, one in value.items()}
    return list(value) if isinstance(value, Sequence) and not isinstance(value, str) else value


def _name(kind: Kind, block: str) -> object:
    return tomllib.loads(block)[kind.value][0]["name"]


def _place(kind: Kind, blocks: Sequence[str], name: str) -> int:
    for place, block in enumerate(blocks):
        if _name(kind, block) == name:
            return place
    raise NotFound(f"{kind.file} has no {kind.value} {name!r}")


def _edited(block: str, kind: Kind, values: Values) -> str:
    """A table's text with some keys changed. Raises ConfigurationInvalid where its layout does not allow that."""
    expected: dict[str, object] = tomllib.loads(block)[kind.value][0]
    try:
        document = tomlkit.parse(block.rstrip() + "\n")
        tables = document[kind.value]
        table = tables[0]
        for key, value in values.items():
            plain = _plain(value)
            if plain is None:
                table.pop(key, None)
                expected.pop(key, None)
            elif expected.get(key) != plain:
                table[key] = plain
                expected[key] = plain
        text = tomlkit.dumps(document)
    except TOMLKitError as error:
        raise ConfigurationInvalid(f"{kind.file}: this table cannot be changed here: {error}") from error
    if tomllib.loads(text)[kind.value][0] != expected:
        raise ConfigurationInvalid(f"{kind.file}: this table is laid out so that it cannot be changed here")
    return text
