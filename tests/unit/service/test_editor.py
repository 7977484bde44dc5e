"""What the window may save: nothing that the service process could not start with."""

from pathlib import Path

import pytest

from node.admin.health import Health
from node.editing import Kind
from node.errors import ConfigurationInvalid
from node.jobs.catalogue import installed_models
from node.service.checkups import CheckUps
from node.service.window import window_of
from node.settings import Configuration, NodeSettings, StateTable
from tests.makers.ledger import books

PEER = {"name": "pacs", "ae_title": "PACS", "address": "192.0.2.1", "port": 104}
ROUTE = {"name": "chest", "model": "lung-ct", "destinations": ["pacs"]}


@pytest.mark.parametrize(
    ("kind", "values", "why"),
    [
        (Kind.ROUTE, {**ROUTE, "model": "nothing"}, "no model 'nothing'; installed: .*lung-ct"),
        (
            Kind.PEER,
            {**PEER, "url": "https://pacs.example/web", "web_authorities": "/nowhere"},
            "/nowhere",
        ),
    ],
)
def test_what_the_node_could_not_start_with_is_not_saved(tmp_path: Path, kind: Kind, values: dict, why: str) -> None:
    folder = tmp_path / "config"
    folder.mkdir()
    configuration = Configuration(settings=NodeSettings(state=StateTable(home=tmp_path)))
    models = installed_models(only=["lung-ct"])
    with books(tmp_path) as found:
        health = Health(True, "", (), 0)
        looks = CheckUps(tmp_path, folder, found.clock)
        window = window_of(
            lambda: configuration,
            folder,
            found.ledger,
            found.queue,
            models,
            health=lambda: health,
            metrics=lambda _health: b"",
            looking=looks,
            now=found.clock,
        )
        window.editor.add(Kind.PEER, PEER)
        window.editor.add(Kind.ROUTE, ROUTE)

        with pytest.raises(ConfigurationInvalid, match=why):
            window.editor.add(kind, {**values, "name": "other"})

        assert len(window.editor.read().routes) == len(window.editor.read().peers) == 1
