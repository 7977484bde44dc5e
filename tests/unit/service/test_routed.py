"""One model that cannot be used keeps no other from its work."""

import shutil
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from node.configuration import read_configuration
from node.errors import ConfigurationInvalid
from node.jobs.catalogue import installed_models
from node.service.routed import Judge, usable_models

ROUTE = '[[route]]\nname = "one"\nmodel = "{model}"\ndestinations = ["pacs"]\n'
PEER = '[[peer]]\nname = "pacs"\nae_title = "PACS"\naddress = "127.0.0.1"\nport = 104\n'


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A configuration with a model whose card is no TOML."""
    (tmp_path / "models" / "broken").mkdir(parents=True)
    (tmp_path / "models" / "broken" / "card.toml").write_text("name = ")
    (tmp_path / "peers.toml").write_text(PEER)
    return tmp_path


@pytest.mark.parametrize("content", [b"name = ", b"name = 'M\xfcnchen'"])
def test_a_model_that_cannot_be_used_is_left_out_and_told(config: Path, content: bytes) -> None:
    """Also where it was written in another encoding than UTF-8."""
    (config / "models" / "broken" / "card.toml").write_bytes(content)
    with capture_logs() as told:
        found = usable_models(read_configuration(config))

    assert "lung-ct" in found
    assert "broken" not in found
    assert [(one["event"], one["model"]) for one in told] == [("model-unusable", "broken")]


@pytest.mark.parametrize("name", ["hippocampus", "lung-ct"])
def test_a_folder_called_as_a_model_that_ships_is_told_and_keeps_no_other_from_its_work(
    config: Path, name: str
) -> None:
    (config / "models" / "broken").rename(config / "models" / name)
    with capture_logs() as told:
        found = usable_models(read_configuration(config))

    assert found.keys() == {"hippocampus", "lung-ct"} - {name}
    assert [(one["event"], one["model"]) for one in told] == [("model-unusable", name)]
    assert "rename the folder" in told[0]["why"]


def test_a_model_that_is_removed_while_the_others_are_read_is_no_model(config: Path) -> None:
    """Digests of weights take seconds: long enough for somebody to remove the next model."""
    models = config / "models"
    shutil.copytree(models / "broken", models / "removed")
    found = installed_models(models, unusable=lambda _name, _error: shutil.rmtree(models / "removed"))

    assert "lung-ct" in found
    assert "removed" not in found


@pytest.mark.parametrize("model", ["broken", "absent"])
def test_a_route_to_a_model_that_is_not_there_is_no_route(config: Path, model: str) -> None:
    (config / "routes.toml").write_text(ROUTE.format(model=model))

    with pytest.raises(ConfigurationInvalid, match=f"route 'one': no model '{model}'"), capture_logs():
        Judge()(read_configuration(config))


def test_a_card_that_was_replaced_is_read_again(config: Path) -> None:
    judge, card = Judge(), config / "models" / "broken" / "card.toml"
    with capture_logs() as told:
        before = judge.facts(read_configuration(config))
        assert judge.facts(read_configuration(config)) is before
        card.with_suffix(".part").write_text("name == ")
        card.with_suffix(".part").replace(card)
        assert judge.facts(read_configuration(config)) is not before

    assert len(told) == 2
