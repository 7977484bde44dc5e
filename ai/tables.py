"""Takes typed values out of a card's TOML tables, and refuses what is missing, mistyped or unknown."""

import difflib
import sys
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from typing import TypeGuard, TypeVar

from ai.contract import Code
from ai.errors import CardInvalid, shown

Table = Mapping[str, object]
T = TypeVar("T")
E = TypeVar("E", bound=Enum)
WORDS: dict[type, str] = {str: "a text", float: "a number", int: "a whole number", bool: "true or false"}
WORDS |= {list: "a list", dict: "a table", tuple: "[lowest, highest]", Code: '["value", "scheme", "meaning"]'}
PLAIN: dict[type, str] = {str: "a text without line breaks and other control characters", float: "a finite number"}
LONGEST_SCHEME, LONGEST_NAME = 16, 64
"""Characters of DICOM's short and long strings."""


def is_number(value: object) -> TypeGuard[int | float]:
    """Whether it is a whole number, or another, that a float holds; a truth is none, nor is what is not finite."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max


def _is_plain(value: str | float) -> bool:
    """A terminal acts on control characters, and DICOM's texts hold none; nothing is more or less than no number."""
    return value.isprintable() if isinstance(value, str) else is_number(value)


def read_tables(file: Path) -> Table:
    """The keys and tables of a TOML file. Raises CardInvalid."""
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:  # of what is no text, no TOML, or nested without end
        raise CardInvalid(f"{file}: cannot be read as TOML: {error}") from error


class Faults:
    """What is wrong with a card, gathered: whoever writes one reads all of it at once."""

    def __init__(self) -> None:
        self._told: list[str] = []

    @contextmanager
    def noted(self) -> Iterator[None]:
        """A fault within ends what is done there, and is told at the end."""
        try:
            yield
        except CardInvalid as error:
            self._told.append(str(error))

    def each(self, tables: "Iterable[TableReader]", read: "Callable[[TableReader], T]") -> tuple[T, ...]:
        """What is read of each table that is sound."""
        found = []
        for table in tables:
            with self.noted():
                found.append(read(table))
        return tuple(found)

    def end(self) -> None:
        """Raises CardInvalid with all that was noted, a line each."""
        if self._told:
            raise CardInvalid("\n".join(self._told))


class TableReader:
    """One table; `where` names it in messages. Every taken key leaves it, and finish() refuses what is left."""

    def __init__(self, table: Table, where: str) -> None:
        self._left = dict(table)
        self._where = where

    @property
    def where(self) -> str:
        """For messages about what was taken."""
        return self._where

    def needs(self, **kinds: type) -> None:
        """Raises CardInvalid with every key of these that is missing, and how it is given."""
        absent = {key: kind for key, kind in kinds.items() if key not in self._left}
        if len(absent) > 1:
            told = (f"{key}{self._mistaken(key)} ({WORDS[kind]})" for key, kind in absent.items())
            raise CardInvalid(f"{self._where}: these are missing: {'; '.join(told)}")
        for key, kind in absent.items():
            raise CardInvalid(f"{self._where}: {key} is missing{self._mistaken(key)}: give it as {WORDS[kind]}")

    def take(self, key: str, kind: type[T], default: T | None = None) -> T:
        if default is None:
            self.needs(**{key: kind})
        value = self._left.pop(key, default)
        if kind is float and is_number(value):
            value = float(value)
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise CardInvalid(f"{self._where}: {key} must be {WORDS[kind]}, found {shown(value)}")
        if isinstance(value, str | float) and not _is_plain(value):
            raise CardInvalid(f"{self._where}: {key} must be {PLAIN[kind]}, found {shown(value)}")
        return value

    def _mistaken(self, key: str) -> str:
        close = difflib.get_close_matches(key, self._left, n=1)
        return f", and {close[0]!r} is there" if close else ""

    def name(self, key: str) -> str:
        """A text that DICOM can hold as a name: it drops blanks around it, so that another one would come back."""
        found = self.take(key, str)
        if found != found.strip() or not 0 < len(found) <= LONGEST_NAME:
            raise CardInvalid(
                f"{self._where}: {key} must be a text of at most {LONGEST_NAME} characters without blanks around it, "
                f"found {shown(found)}"
            )
        return found

    def optional_number(self, key: str) -> float | None:
        return self.take(key, float) if key in self._left else None

    def one_or_more(self, key: str) -> tuple[str, ...]:
        """A text, or a list of texts that is not empty."""
        if not isinstance(self._left.get(key), list):
            return (self.take(key, str),)
        found = self.texts(key)
        if not found:
            raise CardInvalid(f"{self._where}: {key} must name at least one")
        return found

    def texts(self, key: str) -> tuple[str, ...]:
        values = self.take(key, list, [])
        if not all(isinstance(value, str) and _is_plain(value) for value in values):
            raise CardInvalid(f"{self._where}: {key} must be a list of plain texts, found {shown(values)}")
        return tuple(values)

    def ends(self, key: str) -> tuple[float, float]:
        values = self.take(key, list)
        numbers = [value for value in values if is_number(value)]
        if len(values) != 2 or len(numbers) != 2 or not numbers[0] < numbers[1]:
            raise CardInvalid(f"{self._where}: {key} must be [lowest, highest], found {shown(values)}")
        return float(numbers[0]), float(numbers[1])

    def has(self, key: str) -> bool:
        return key in self._left

    def choice(self, key: str, kind: type[E], default: E | None = None) -> E:
        """One of the words of an enum."""
        if default is not None and key not in self._left:
            return default
        word = self.take(key, str)
        for one in kind:
            if one.value == word:
                return one
        words = ", ".join(str(one.value) for one in kind)
        raise CardInvalid(f"{self._where}: {key} must be one of {words}; found {shown(word)}")

    def code(self, key: str) -> Code:
        parts = self.texts(key)
        if len(parts) != 3:
            raise CardInvalid(
                f'{self._where}: {key} must be ["value", "scheme", "meaning"], found {shown(list(parts))}'
            )
        value, scheme, meaning = parts
        if not (value and scheme and meaning) or len(scheme) > LONGEST_SCHEME or len(meaning) > LONGEST_NAME:
            raise CardInvalid(
                f"{self._where}: {key} needs a value, a scheme of at most {LONGEST_SCHEME} characters and a meaning of "
                f"at most {LONGEST_NAME}, found {shown(list(parts))}"
            )
        return Code(value, scheme, meaning)

    def optional_code(self, key: str) -> Code | None:
        return self.code(key) if key in self._left else None

    def tables(self, key: str) -> list["TableReader"]:
        found = []
        for number, table in enumerate(self.take(key, list, []), 1):
            where = f"{self._where} [[{key}]] {number}"
            if not isinstance(table, dict):
                raise CardInvalid(f"{where}: must be a table, found {shown(table)}")
            found.append(TableReader(table, where))
        return found

    def table(self, key: str) -> "TableReader":
        """The table under a key; an empty one where it is not there."""
        return TableReader(self.take(key, dict, {}), f"{self._where} [{key}]")

    def rest(self) -> Table:
        """What is left, taken whole for somebody else to check."""
        left, self._left = self._left, {}
        return left

    def finish(self) -> None:
        if self._left:
            raise CardInvalid(f"{self._where}: unknown key {min(self._left)!r}; remove it or correct it")
