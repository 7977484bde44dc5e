"""Structured logs: an event name and the ids of association, study and job; never patient data."""

import logging
import sys
from typing import TextIO

import structlog

TEXT_LIMIT = 256
TRACEBACK_LIMIT = 20_000
"""A model may raise with an array in words."""
LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


def named(role: str) -> structlog.typing.Processor:
    """Says of every line which process wrote it, whatever thread it came from."""

    def add(_logger: object, _name: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
        event.setdefault("role", role)
        return event

    return add


def cut(_logger: object, _name: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """Bound every text: what peers send us must not flood the log. Escaping is the renderer's."""
    return {
        key: value[: TRACEBACK_LIMIT if key == "exception" else TEXT_LIMIT] if isinstance(value, str) else value
        for key, value in event.items()
    }


def configure_logs(level: str, *, role: str, to: TextIO | None = None) -> None:
    """JSON lines on standard error, or to a stream in its place; readable lines where that is a terminal.

    What libraries log stays on standard error: those of a model say what they like.
    """
    stream = sys.stderr if to is None else to
    terminal = stream.isatty()
    # Plain tracebacks: the pretty ones print local variables, and these may hold patient data.
    renderer = (
        structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
        if terminal
        else structlog.processors.JSONRenderer()
    )
    processors: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        named(role),
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    if not terminal:
        processors.append(structlog.processors.format_exc_info)
    structlog.configure(
        processors=[*processors, cut, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
        # Each line in one call of the system: with print's two, those of processes that share the stream run together.
        logger_factory=structlog.WriteLoggerFactory(stream),
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(levelname)s %(name)s %(message)s")
