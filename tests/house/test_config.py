"""The shipped configuration is the manual: it names every setting with its default, and explains it."""

import re
import tomllib
from pathlib import Path

from node.configuration import read_configuration
from node.settings import NodeSettings, Peer, Route

CONFIG = Path(__file__).parents[2] / "config"


def test_node_toml_names_every_setting_with_its_default() -> None:
    shipped = tomllib.loads((CONFIG / "node.toml").read_text())

    assert NodeSettings.model_validate(shipped) == NodeSettings()
    for table, fields in NodeSettings.model_fields.items():
        assert sorted(shipped[table]) == sorted(fields.annotation.model_fields)


def test_every_setting_has_a_comment_above_it() -> None:
    lines = (CONFIG / "node.toml").read_text().splitlines()
    keys = [number for number, line in enumerate(lines) if re.match(r"[a-z_]+ = ", line)]
    bare = [lines[number] for number in keys if not _is_explained(lines, number)]

    assert bare == []


def _is_explained(lines: list[str], number: int) -> bool:
    """A comment stands above the key, or above the group of keys it belongs to."""
    above = lines[number - 1]
    return above.startswith("#") or (not above.startswith("[") and above != "" and _is_explained(lines, number - 1))


def test_comments_of_peers_and_routes_name_every_key() -> None:
    peers = (CONFIG / "peers.toml").read_text()
    routes = (CONFIG / "routes.toml").read_text()

    for name, field in Peer.model_fields.items():
        assert f"# {field.alias or name} = " in peers
    for name, field in Route.model_fields.items():
        assert f"# {field.alias or name} = " in routes or name == "input"


def test_examples_can_be_used_as_they_are() -> None:
    found = read_configuration(CONFIG / "examples", environment={})

    assert [route.model for route in found.routes] == ["lung-ct"]
