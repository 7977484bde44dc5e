"""The documents say what the code does."""

import re
from pathlib import Path

import typer

from node.cli.app import app
from node.settings import NodeSettings
from tests.house import commands, picture

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = [README, *(path.read_text(encoding="utf-8") for path in sorted((ROOT / "docs").rglob("*.md")))]


def all_commands() -> set[str]:
    """Every command of the command line, as typed."""
    group = typer.main.get_command(app)
    found = set()
    for name, command in group.commands.items():
        found |= {f"{name} {sub}" for sub in getattr(command, "commands", {})} or {name}
    return found


def test_the_architectures_picture_is_the_codes() -> None:
    """`make picture` mends it."""
    page = picture.PAGE.read_text(encoding="utf-8")

    assert page == picture.with_parts(page)


PROMISED = {
    "demo", "serve", "check", "status", "studies", "instances", "jobs", "job", "results", "deliveries", "retry",
    "again", "cancel", "resend", "complete", "associations", "peers list", "peers add", "peers remove", "peers accept",
    "peers echo", "peers probe", "route explain", "models list", "models check", "models install", "models preview",
    "models evaluate", "run", "send", "import", "backup", "restore", "bench receive", "bench journey", "bench encode",
    "bench model", "bench kills",
}  # fmt: skip
"""Names that sites and their scripts rely on; none is renamed or dropped."""


def test_every_promised_command_is_there() -> None:
    assert all_commands() >= PROMISED


def test_commands_in_the_documents_are_understood() -> None:
    """Their options and arguments as well; where one is just named in a sentence, it may stand without them."""
    shown = [(line, whole) for page in PAGES for line, whole in commands.typed(page)]

    assert [fault for line, whole in shown if (fault := commands.fault_of(line, whole=whole)) is not None] == []
    assert len(shown) > 80


def test_a_command_that_is_not_there_is_seen() -> None:
    """Of the check itself: it tells a name, an option and an argument that are none."""
    page = "```sh\nisocenter run x\nisocenter studies --nope\n```\nand `isocenter study show`, `isocenter run`"

    faults = [commands.fault_of(line, whole=whole) for line, whole in commands.typed(page)]

    assert faults == [
        "run x: missing arguments: ['path', 'out']",
        "studies --nope: No such option: --nope",
        "study show: no such command",
        None,
    ]


def test_settings_in_the_documents_exist() -> None:
    """What is written as `table.key` is a setting."""
    tables = {name: set(field.annotation.model_fields) for name, field in NodeSettings.model_fields.items()}
    named = {match for page in PAGES for match in re.findall(r"`([a-z]+)\.([a-z_]+)`", page) if match[0] in tables}

    assert {f"{table}.{key}" for table, key in named if key not in tables[table]} == set()


def test_files_that_the_documents_link_to_exist() -> None:
    broken = set()
    for path in (ROOT / "README.md", ROOT / "ARCHITECTURE.md", *(ROOT / "docs").rglob("*.md")):
        for link in re.findall(r"\]\(([^)#:]+)\)", path.read_text(encoding="utf-8")):
            if not (path.parent / link).exists():
                broken.add(f"{path.name}: {link}")

    assert broken == set()


def test_every_command_shows_an_example() -> None:
    group = typer.main.get_command(app)
    flat = [one for command in group.commands.values() for one in getattr(command, "commands", {"": command}).values()]

    assert [one.name for one in flat if "Example" not in (one.help or "")] == []
