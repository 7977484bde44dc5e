"""What receivers heard of storage commitment, as files that are durable before they answer, until the ledger has it."""

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


Kind = TypeVar("Kind", ReportLetter, RequestLetter)


class Mailbox(Generic[Kind]):
    """A folder of the spool for one kind of letter: receivers post, the service takes out."""

    def __init__(self, home: Path, kind: type[Kind]) -> None:
        self._folder = home / "spool" / "commitments" / kind.__name__
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._json: TypeAdapter[Kind] = TypeAdapter(kind)

    def post(self, letter: Kind) -> None:
        """Keep a letter; it is durable when this returns. Raises SpoolFull."""
        name = f"{letter.sender.at:%Y%m%dT%H%M%S%f}-{secrets.token_hex(4)}"
        aside = self._folder / f"{name}.part"
        with disk_faults():
            with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(self._json.dump_json(letter))
                file.flush()
                os.fsync(file.fileno())
            aside.replace(self._folder / f"{name}.json")
            folder = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)

    def letters(self) -> Iterator[tuple[Path, Kind]]:
        """Every letter with its file, oldest first; unlink the file once the ledger has it."""
        for path in sorted(self._folder.glob("*.json")):
            with suppress(FileNotFoundError, ValidationError):  # taken out meanwhile; written by another version
                yield path, self._json.validate_json(path.read_bytes())
