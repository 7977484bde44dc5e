"""The command lines that a page of the documents shows, read as the command line reads them."""

import re
import shlex
from collections.abc import Iterator

import typer
from typer.exceptions import TyperException

from node.cli.app import app

FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
SHELL = ("", "sh")


def typed(page: str) -> Iterator[tuple[str, bool]]:
    """Every line that begins with `isocenter`, without that; whether it is to be typed as it stands, or just named."""
    for kind, block in FENCE.findall(page):
        lines = block.replace("\\\n", " ").splitlines() if kind in SHELL else []
        yield from ((line.removeprefix("isocenter ").split(" #")[0], True) for line in lines if _is_ours(line))
    prose = FENCE.sub("", page)
    yield from ((line.removeprefix("isocenter "), False) for line in re.findall(r"`([^`]+)`", prose) if _is_ours(line))


def _is_ours(line: str) -> bool:
    return line.startswith("isocenter ")


def fault_of(line: str, *, whole: bool) -> str | None:
    """What is wrong with a command line: no such command, option or argument; whole: or one that must be given."""
    command, arguments = typer.main.get_command(app), shlex.split(line)
    while True:
        context = command.context_class(command, info_name="isocenter")
        try:
            options, rest, _ = command.make_parser(context).parse_args(arguments)
        except TyperException as error:
            return f"{line}: {error}"
        below = getattr(command, "commands", None)
        if below is None:
            break
        if not rest or rest[0] not in below:
            return f"{line}: no such command"
        command, arguments = below[rest[0]], rest[1:]
    needed = [one.name for one in command.params if one.required and options.get(one.name) is None]
    if rest or (needed and whole):
        return f"{line}: {'too many' if rest else 'missing'} arguments: {rest or needed}"
    return None
