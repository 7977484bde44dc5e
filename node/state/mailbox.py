"""What receivers and service tell each other of storage commitment: files, durable before anybody is answered."""

import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Generic, TypeVar

from pydantic import TypeAdapter, ValidationError

from node.state.disk import disk_faults
from node.state.transaction import Reference


@dataclass(frozen=True)
class Sender:
    """Who said something, on which association and when. peer: its name in peers.toml."""

    peer: str
    calling_ae: str
    called_ae: str
    association_id: str
    at: datetime


@dataclass(frozen=True)
class ReportLetter:
    """A report on what we asked a peer to keep. outcomes: as a Report has them."""

    sender: Sender
    transaction_uid: str
    outcomes: Mapping[str, int]


@dataclass(frozen=True)
class RequestLetter:
    """What a peer asks us to keep."""

    sender: Sender
    transaction_uid: str
    references: tuple[Reference, ...]


@dataclass(frozen=True)
class AnswerLetter(RequestLetter):
    """What became of that, for the association on which it was asked. sender: of the request."""

    outcomes: Mapping[str, int]


Kind = TypeVar("Kind", ReportLetter, RequestLetter, AnswerLetter)


class Mailbox(Generic[Kind]):
    """A folder of the spool for one kind of letter."""

    def __init__(self, home: Path, kind: type[Kind]) -> None:
        self._folder = home / "spool" / "commitments" / kind.__name__
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._json: TypeAdapter[Kind] = TypeAdapter(kind)

    def post(self, letter: Kind, name: str = "") -> None:
        """Keep a letter, perhaps under a name of its own; it is durable when this returns. Raises SpoolFull."""
        name = name or f"{letter.sender.at:%Y%m%dT%H%M%S%f}-{secrets.token_hex(4)}"
        aside = self._folder / f"{name}.part"
        with disk_faults():
            with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
                file.write(self._json.dump_json(letter))
                file.flush()
                os.fsync(file.fileno())
            aside.replace(self._folder / f"{name}.json")
            folder = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)

    def path(self, name: str) -> Path:
        """The file of a letter that was posted under a name of its own."""
        return self._folder / f"{name}.json"

    def letters(self, names: str = "*") -> Iterator[tuple[Path, Kind]]:
        """Every letter (whose name matches) with its file, oldest first; unlink the file when it is done with."""
        for path in sorted(self._folder.glob(f"{names}.json")):
            with suppress(FileNotFoundError, ValidationError):  # taken out meanwhile; written by another version
                yield path, self._json.validate_json(path.read_bytes())
