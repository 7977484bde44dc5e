"""What the lists on the command line ask the ledger for."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from typer.testing import CliRunner

from node.cli import queries
from node.cli.app import app
from node.cli.here import show
from node.state import schema
from tests.makers.ledger import books

START = datetime(2026, 1, 2, tzinfo=UTC)


def test_troubled_associations_are_found_among_many_that_went_well() -> None:
    """A busy scanner would push the one that was turned away off the list."""
    engine = sa.create_engine("sqlite://")
    schema.association.create(engine)
    ends = [("a1", "released", ""), ("a2", "rejected", "unknown"), ("a3", "released", "1 instance was refused")]
    ends += [(f"b{number}", "released", "") for number in range(5)]
    with engine.begin() as connection:
        for number, (key, outcome, why) in enumerate(ends):
            at = START + timedelta(minutes=number)
            connection.execute(
                schema.association.insert().values(
                    id=key, calling_ae="CT1", called_ae="ISOCENTER", address="10.0.0.7", started_at=at, ended_at=at,
                    outcome=outcome, why=why, stored=1, refused=0,
                )
            )  # fmt: skip
        troubled = connection.execute(queries.associations(3, troubled=True)).mappings().all()
        newest = connection.execute(queries.associations(3)).mappings().all()

    assert [one["id"] for one in troubled] == ["a3", "a2"]
    assert [one["id"] for one in newest] == ["b4", "b3", "b2"]


@pytest.mark.parametrize("text", ["[red]x", r"C:\[/temp]", r"\\[bold]x", "end\\"])
def test_what_came_over_the_network_is_shown_as_it_is(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A destination's words that looked like a mark-up ended the list in a traceback."""
    show([{"message": text}], as_json=False, empty="")

    assert text in capsys.readouterr().out


def test_each_row_is_one_line_of_a_file(capsys: pytest.CaptureFixture[str]) -> None:
    """Also of many rows, and with words of any length: `grep` finds both the id and the reason."""
    rows = [{"id": f"j{number}", "message": "why " * 200 + str(number)} for number in range(5000)]
    show(rows, as_json=False, empty="")

    head, *lines = capsys.readouterr().out.splitlines()
    assert head.split() == ["id", "message"]
    assert [line.split(maxsplit=1) for line in lines] == [[row["id"], row["message"]] for row in rows]


def test_a_narrow_terminal_shows_ids_and_reasons_whole(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("FORCE_COLOR", "1"), ("TERM", "dumb"), ("COLUMNS", "80")):
        monkeypatch.setenv(name, value)
    row = dict.fromkeys(("id", "state", "stage", "run", "route", "study_id", "reason"), "0123456789")

    show([{**row, "message": "the field of view is 256 mm, and the model takes 80 mm"}], as_json=False, empty="")

    line, words = capsys.readouterr().out.splitlines()[-2:]
    assert line.split() == ["0123456789"] * 7
    assert words.strip() == "the field of view is 256 mm, and the model takes 80 mm"


@pytest.mark.parametrize("command", ["status", "studies"])
def test_what_programs_read_has_a_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    monkeypatch.setenv("ISOCENTER_HOME", str(tmp_path))
    with books(tmp_path):
        said = CliRunner().invoke(app, [command, "--json"])

    assert json.loads(said.stdout)["version"] == 1


@pytest.mark.parametrize(
    ("command", "words"),
    [("associations", "nobody has called yet"), ("associations --troubled", "nobody was turned away")],
)
def test_an_empty_list_says_what_is_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str, words: str
) -> None:
    monkeypatch.setenv("ISOCENTER_HOME", str(tmp_path))
    with books(tmp_path):
        said = CliRunner().invoke(app, command.split())

    assert said.stdout.startswith(words)
