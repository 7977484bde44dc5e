"""What an error says of itself, as ledger and log can hold it: short, printable, and even where it cannot say it."""

import traceback

LONGEST = 1000


def said_by(error: BaseException) -> str:
    """The words alone; empty where it has none."""
    return _told(error).partition(": ")[2]


def told_with_kind(error: BaseException) -> str:
    """The words after the name of the error's kind, for one that nobody here raised on purpose."""
    words = said_by(error)
    return f"{type(error).__name__}: {words}" if words else type(error).__name__


def _told(error: BaseException) -> str:
    """By way of the library that prints tracebacks, which gets over a `__str__` that raises."""
    text = "".join(traceback.format_exception_only(error)).strip()[: 2 * LONGEST]
    return "".join(one if one.isprintable() else " " for one in text)[:LONGEST]
