"""What the engine's library says, as lines of our log: of a database that is away it prints pages by itself."""

import logging
import time

import sqlalchemy as sa
import structlog

from node.errors import LedgerUnusable
from node.state.ledger import is_unusable

log = structlog.get_logger()

LIBRARY = "dbos"
BESIDE = ("Traceback", "[SQL", "[parameters", "(Background")
"""How lines begin that tell a reader of the log nothing."""
AGAIN_S = 60.0
"""The same words come from the same place no sooner: over a database that is away, a dozen came each second."""


def take_over_log() -> None:
    """Let what the library warns of become lines of our log, in this process."""
    library = logging.getLogger(LIBRARY)
    library.handlers, library.propagate = [_OurLog()], False
    library.setLevel(logging.WARNING)


class _OurLog(logging.Handler):
    """One line for each warning. A traceback follows where the database is not at fault, and at level debug always."""

    def __init__(self) -> None:
        super().__init__()
        self._told: dict[str, tuple[str, float]] = {}
        """The last words from each place, and when."""

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        words = _in_one_line(record.getMessage())
        if error is not None:
            words = f"{words} {_in_one_line(f'{type(error).__name__}: {error}')}"
        at = f"{LIBRARY}/{record.filename}:{record.lineno}"
        if self._is_repeated(at, words):
            return
        if error is None or _is_of_database(error):
            log.log(record.levelno, "engine-says", why=words, at=at)
            log.debug("engine-says-where", at=at, exc_info=record.exc_info)
        else:
            log.log(record.levelno, "engine-says", why=words, at=at, exc_info=record.exc_info)

    def _is_repeated(self, at: str, words: str) -> bool:
        """Whether this was told within the last minute."""
        before, told_s = self._told.get(at, ("", 0.0))
        if words == before and time.monotonic() - told_s < AGAIN_S:
            return True
        self._told[at] = (words, time.monotonic())
        return False


def _is_of_database(error: BaseException) -> bool:
    is_at_fault = isinstance(error, sa.exc.DBAPIError) and is_unusable(error)
    return is_at_fault or isinstance(error, (LedgerUnusable, sa.exc.TimeoutError))


def _in_one_line(text: str) -> str:
    """The first line, and of a traceback within it the last one, which names the error."""
    lines = [one for one in text.splitlines() if one.strip() and not one[0].isspace() and not one.startswith(BESIDE)]
    return " ".join(dict.fromkeys([*lines[:1], *(lines[-1:] if "Traceback" in text else [])]))
