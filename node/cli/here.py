"""What most commands need: the configuration, the ledger of this home, and a way to print a list."""

import contextlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from node.errors import ConfigurationInvalid, NotRunning

if TYPE_CHECKING:  # a command loads what it needs when it runs: others, and --help, do not wait for it
    from node.actions import Operator
    from node.settings import Configuration
    from node.state.ledger import Ledger

Row = Mapping[str, object]
LEAST_WORDS = 30
"""Where the last column of a table would have less, it is shown below each row."""


def now() -> datetime:
    return datetime.now(UTC)


def config_folder() -> Path:
    return Path(os.environ.get("ISOCENTER_CONFIG", "config"))


def models_folder() -> Path:
    """This site's models, one folder each."""
    return config_folder() / "models"


def configuration() -> "Configuration":
    """The configuration of the folder that --config or ISOCENTER_CONFIG names, ./config otherwise."""
    from node.configuration import read_configuration

    return read_configuration(config_folder())


@contextlib.contextmanager
def ledger() -> "Iterator[Ledger]":
    """The ledger of this home. Raises NotRunning where no node has ever run here, ConfigurationInvalid where one has,
    and its ledger is elsewhere."""
    from node.state.hold import TENURE
    from node.state.ledger import Ledger

    state = configuration().settings.state
    if not state.database_url and not (state.home / "ledger.sqlite").exists():
        if (state.home / TENURE).exists():  # written once a node has its ledger, wherever that is
            raise ConfigurationInvalid(
                f"the ledger of {state.home.absolute()} is not in it: where it is in PostgreSQL, "
                "set state.database_url (or ISOCENTER_DATABASE_URL) for commands as for the node; else it is lost"
            )
        raise NotRunning(f"no node has run in {state.home.absolute()} yet; start one with `isocenter serve`")
    with contextlib.closing(Ledger(state.url)) as found:
        yield found


@contextlib.contextmanager
def operator() -> "Iterator[Operator]":
    """The ledger and its queue, for an action."""
    from node.actions import Operator
    from node.state.bells import Bells
    from node.state.queue import Queue

    bells = Bells(configuration().settings.state.home)
    with ledger() as found, contextlib.closing(Queue(found.engine, bells)) as queue:
        yield Operator(found, queue)


def tell(found: Mapping[str, object]) -> None:
    """Print what was found for programs. version: another one where a name is gone or means something else; where names
    are added it stays."""
    print(json.dumps({"version": 1, **found}, indent=1))


def show(rows: Sequence[Row], *, as_json: bool, empty: str, columns: Sequence[str] = ()) -> None:
    """Print a list: a table of some columns for people, {"version": 1, "items": […]} with all of them for programs."""
    if as_json:
        tell({"items": [plain(row) for row in rows]})
        return
    if not rows:
        print(empty)
        return
    console = Console()
    names = columns or tuple(rows[0])
    cells = [[_text(row[name]) for name in names] for row in rows]
    heads = [name.replace("_", " ") for name in names]
    widths = [max(map(cell_len, one)) for one in zip(heads, *cells, strict=True)]
    if not console.is_terminal:  # nothing is folded in a file or a pipe, and a table of 20,000 rows takes a minute
        for one in (heads, *cells):
            print(_line(one, widths))
        return
    if sum(widths[:-1]) + 2 * len(widths) + min(widths[-1], LEAST_WORDS) > console.width:
        _show_words_below(console, heads, cells, widths[:-1])
        return
    table = Table(box=None, header_style="bold", pad_edge=False)
    for head in heads:
        # The last column says why, in words that must be readable whole; the others are short.
        last = head is heads[-1]
        table.add_column(head, overflow="fold" if last else "ellipsis", no_wrap=not last)
    for one in cells:
        table.add_row(*map(Text, one))  # no mark-up: it shows what came over the network
    console.print(table)


def _show_words_below(console: Console, heads: list[str], cells: list[list[str]], widths: list[int]) -> None:
    """A table for a narrow terminal: the last column below each row. Nothing is cut: an id is to be copied."""
    for style, (*short, words) in (("bold", heads), *(("", one) for one in cells)):
        console.print(Text(_line(short, widths), style=style), soft_wrap=True)
        if words:
            console.print(Padding(Text(words, style=style), (0, 0, 0, 4)))


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(set_cell_size(one, width) for one, width in zip(cells, widths, strict=True)).rstrip()


def plain(row: Row) -> dict[str, object]:
    """A row as JSON has it: times in ISO 8601, UTC."""
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in row.items()}


def seconds_between(start: datetime, end: datetime | None) -> float | None:
    """Seconds from one time to the other, None where there is no other yet."""
    return None if end is None else round((end - start).total_seconds(), 3)


def _text(value: object) -> str:
    if isinstance(value, datetime):
        local = value.astimezone()
        return local.strftime("%H:%M:%S" if local.date() == now().astimezone().date() else "%Y-%m-%d %H:%M")
    # Texts came over the network: a terminal must not act on what they hold.
    text = "" if value is None else str(value)
    return "".join(one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in text)
