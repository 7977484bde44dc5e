"""A model whose libraries are not installed says which, and how they are."""

import re
import sys
import tomllib
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ai.device import Device
from ai.errors import CardInvalid
from ai.networks.declared import Kind
from ai.networks.extras import EXTRAS, extra_of, require
from ai.networks.model import NetworkModel
from node.cli.app import app
from tests.makers.networks import write_bright


def test_a_model_is_not_opened_without_its_libraries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = NetworkModel(write_bright(tmp_path / "bright"))
    monkeypatch.setitem(sys.modules, "monai", None)

    with (
        pytest.raises(CardInvalid, match=re.escape("model bright: it needs the extra `torch`, of which monai cannot")),
        model.open(Device()),
    ):
        pass


def test_a_training_is_not_begun_without_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "safetensors", None)

    ended = CliRunner().invoke(app, ["train", str(tmp_path / "train.toml"), "--out", str(tmp_path / "out")])

    assert isinstance(ended.exception, CardInvalid)
    assert "training: it needs the extra `torch`" in str(ended.exception)


@pytest.mark.parametrize("kind", Kind)
def test_every_kind_has_its_extra_in_pyproject(kind: Kind) -> None:
    extras = tomllib.loads(Path("pyproject.toml").read_text())["project"]["optional-dependencies"]

    assert extra_of(kind) in extras.keys() & EXTRAS.keys()
    require(extra_of(kind), "the suite")
