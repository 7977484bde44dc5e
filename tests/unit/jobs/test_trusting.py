"""Trust in a bundle is given by a person of the site, for what lies there now; a model never brings its own."""

import json
from pathlib import Path
from typing import Any

import pytest
import tomlkit
from typer.testing import CliRunner, Result

from ai.device import Device
from ai.errors import CardInvalid
from ai.networks.model import NetworkModel
from node.cli.app import app
from tests.makers.bundles import configuration, write_bundle
from tests.makers.networks import write_bright

EXPRESSION = "$[2.0 for _ in range(3)]"
TRUSTING = ("trust", "spleen", "--by", "A. Physicist", "--yes")


def asking() -> dict[str, Any]:
    """A configuration that computes more than a bundle may."""
    return {**configuration(), "pixdim": EXPRESSION}


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The site's folder of models, with a bundle that needs trust."""
    monkeypatch.setenv("ISOCENTER_CONFIG", str(tmp_path / "config"))
    write_bundle(tmp_path / "config" / "models" / "spleen", asking())
    return tmp_path / "config" / "models"


def command(*words: str, answer: str = "") -> Result:
    return CliRunner().invoke(app, ["models", *words], input=answer)


def opens(folder: Path) -> bool:
    try:
        with NetworkModel(folder).open(Device()):
            return True
    except CardInvalid:
        return False


def test_trust_is_given_for_what_was_shown_and_ends_with_it(models: Path) -> None:
    folder = models / "spleen"
    before = command("show", "spleen").output
    given = command(*TRUSTING)
    shown = command("show", "spleen").output

    assert "trusted  NO, and it needs it: isocenter models trust" in before
    assert given.exit_code == 0, given.output
    assert f"beyond   inference.json::pixdim: the expression {EXPRESSION!r} is not allowed" in given.output
    assert "trusted  by A. Physicist, 2" in shown
    assert opens(folder)
    changed = {**asking(), "pixdim": EXPRESSION.replace("2.0", "3.0")}
    (folder / "configs" / "inference.json").write_text(json.dumps(changed))
    assert "trusted  NO" in command("show", "spleen").output
    assert not opens(folder)


def test_nothing_is_trusted_where_nobody_agreed(models: Path) -> None:
    card = (models / "spleen" / "card.toml").read_text()
    asked = command(*TRUSTING[:-1], answer="n\n")

    assert (asked.exit_code, "not trusted" in asked.output) == (1, True)
    assert (models / "spleen" / "card.toml").read_text() == card
    assert not opens(models / "spleen")


def test_what_needs_no_trust_gets_none(models: Path) -> None:
    write_bundle(models / "plain")
    write_bright(models / "bright")

    assert "needs no trust" in str(command("trust", "plain", "--by", "A", "--yes").exception)
    assert "is no MONAI bundle" in str(command("trust", "bright", "--by", "A", "--yes").exception)
    assert "say who vouches" in str(command("trust", "spleen", "--by", " ", "--yes").exception)
    assert "trusted  not needed" in command("show", "plain").output
    assert "trusted" not in command("show", "bright").output


def test_what_an_installed_model_is_made_of_is_shown(models: Path) -> None:
    model = NetworkModel(write_bright(models / "bright"))
    shown = command("show", "bright").output

    assert f"sha256   {model.network.sha256} (model.bin)" in shown
    assert f"digest   {model.card.digest}" in shown


def test_a_model_that_vouches_for_itself_is_installed_without_that(models: Path, tmp_path: Path) -> None:
    source = write_bundle(tmp_path / "evil", asking(), trusted=True)
    card = tomlkit.parse((source / "card.toml").read_text())
    card["network"].update({"trusted_by": "its maker"})
    (source / "card.toml").write_text(tomlkit.dumps(card))
    assert opens(source)

    installed = command("install", str(source), "--yes")

    assert installed.exit_code == 0, installed.output
    assert f"untrusted inference.json::pixdim: the expression {EXPRESSION!r}" in installed.output
    assert "isocenter models trust evil" in installed.output
    assert "its maker" not in (models / "evil" / "card.toml").read_text()
    assert not opens(models / "evil")
