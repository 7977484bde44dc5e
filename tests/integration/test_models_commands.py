"""The commands for whoever makes a model, on the phantom's files."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from node.cli.app import app
from node.rehearsal.phantom import SMALL, write_study
from tests.makers.cards import CHAIN, classical_card


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A chest CT in a folder, and a configuration with the model `body`."""
    monkeypatch.setenv("ISOCENTER_CONFIG", str(tmp_path / "config"))
    classical_card(tmp_path / "config" / "models")
    write_study(tmp_path / "study", SMALL)
    return tmp_path / "study"


@pytest.mark.usefixtures("study")
def test_a_card_that_cannot_be_used_hides_no_other_model(tmp_path: Path) -> None:
    card = tmp_path / "config" / "models" / "broken" / "card.toml"
    card.parent.mkdir()
    card.write_text("name = 7")
    result = CliRunner().invoke(app, ["models", "list", "--json"])
    states = {one["name"]: one["state"] for one in json.loads(result.stdout)["items"]}

    assert result.exit_code == 1
    assert (states["body"], states["broken"]) == ("installed", "cannot be used")
    assert "broken: " in result.stderr


def test_preview_writes_a_picture_after_each_step(study: Path, tmp_path: Path) -> None:
    out = tmp_path / "steps"
    result = CliRunner().invoke(app, ["models", "preview", "body", str(study), "--out", str(out)])
    names = sorted(one.name for one in out.iterdir())

    assert result.exit_code == 0, result.output
    assert names == ["00-as-read.png", "01-orient.png", "02-resample.png", "03-between.png"]
    first, last = (np.asarray(Image.open(out / name)) for name in (names[0], names[-1]))
    assert len(np.unique(first[60:380, :328])) > 50
    assert {24, 0, 255} >= set(np.unique(last[60:375, 8:320]).tolist())


def test_preview_shows_the_steps_before_one_that_refuses(study: Path, tmp_path: Path) -> None:
    refusing = '[[prepare]]\nstep = "crop-to-foreground"\nabove = 99999\n' + CHAIN
    classical_card(tmp_path / "config" / "models", refusing)
    result = CliRunner().invoke(app, ["models", "preview", "body", str(study), "--out", str(tmp_path / "steps")])

    assert result.exit_code == 3
    assert "refused: there is nothing in the images" in result.output
    assert [one.name for one in (tmp_path / "steps").iterdir()] == ["00-as-read.png"]


def test_check_tells_each_property_and_fails_where_one_does_not_hold(study: Path, tmp_path: Path) -> None:
    good = CliRunner().invoke(app, ["models", "check", "body", str(study), "--json"])
    coarse = '[[prepare]]\nstep = "resample"\nspacing_mm = [90, 90, 90]\n' + CHAIN.split("[[prepare]]\n", 3)[3].join(
        ["[[prepare]]\n", ""]
    )
    classical_card(tmp_path / "config" / "models", coarse)
    bad = CliRunner().invoke(app, ["models", "check", "body", "--json"])
    rows = {one["property"]: one for one in json.loads(bad.output)["items"]}

    assert good.exit_code == 0, good.output
    assert bad.exit_code == 1
    assert rows["geometry there and back"]["holds"] == "NO"
    assert "too coarse" in rows["geometry there and back"]["mend"]
