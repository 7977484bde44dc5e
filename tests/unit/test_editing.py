"""The configuration is edited as a person would: comments stay, and a fault writes nothing."""

import threading
import tomllib
from pathlib import Path

import pytest

from node.editing import Editor, Kind, caller_accepted
from node.errors import ConfigurationInvalid, NotFound
from node.settings import Configuration

PEERS = """\
# Our archive speaks to everybody.

[[peer]]
name = "pacs"
ae_title = "PACS" # as the archive's manual says
address = "192.0.2.1"
port = 104
"""
ROUTES = """\
# Routes of this site

# chests, agreed with radiology
[[route]]
name = "chest"
when = "'CT' in study.modalities" # every CT
model = "lung-ct"
destinations = ["pacs"]

[route.input.ct]
where = "stack.slice_count >= 20" # thin ones

# the second one
[[route]]
name = "second"
enabled = false # until June
model = "lung-ct"
destinations = ["pacs"]
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "peers.toml").write_text(PEERS)
    (tmp_path / "routes.toml").write_text(ROUTES)
    return tmp_path


def names(folder: Path) -> list[str]:
    return [one.name for one in Editor(folder).read().routes]


def test_a_change_touches_its_key_alone(folder: Path) -> None:
    Editor(folder).change(Kind.ROUTE, "second", {"enabled": True})

    assert (folder / "routes.toml").read_text() == ROUTES.replace("enabled = false", "enabled = true")
    assert (folder / "routes.toml.old").read_text() == ROUTES


def test_a_new_key_belongs_to_its_table_and_not_to_the_table_below_it(folder: Path) -> None:
    Editor(folder).change(Kind.ROUTE, "chest", {"priority": "stat", "from": ["pacs"]})

    first = Editor(folder).read().routes[0]
    assert (first.priority, first.sources, first.input["ct"].where) == ("stat", ("pacs",), "stack.slice_count >= 20")
    assert "# thin ones" in (folder / "routes.toml").read_text()


def test_a_key_that_is_taken_out_has_its_default_again(folder: Path) -> None:
    Editor(folder).change(Kind.ROUTE, "chest", {"when": None})

    assert Editor(folder).read().routes[0].when == ""


def test_a_table_moves_with_its_comment_and_all_below_it(folder: Path) -> None:
    Editor(folder).move(Kind.ROUTE, "second", -1)

    text = (folder / "routes.toml").read_text()
    assert names(folder) == ["second", "chest"]
    assert text.index("# Routes of this site") < text.index("# the second one") < text.index("# chests, agreed")
    assert Editor(folder).read().routes[1].input["ct"].where == "stack.slice_count >= 20"
    Editor(folder).move(Kind.ROUTE, "second", -1)  # there is no further up
    assert names(folder) == ["second", "chest"]
    Editor(folder).move(Kind.ROUTE, "second", 1)
    assert (folder / "routes.toml").read_text() == ROUTES


def test_removed_and_added(folder: Path) -> None:
    Editor(folder).remove(Kind.ROUTE, "chest")
    Editor(folder).add(Kind.ROUTE, {"name": "new", "model": "lung-ct", "destinations": ["pacs"], "when": None})

    assert names(folder) == ["second", "new"]
    assert "agreed with radiology" not in (folder / "routes.toml").read_text()


def test_where_there_is_no_file_yet_it_is_made(tmp_path: Path) -> None:
    Editor(tmp_path).add(Kind.PEER, {"name": "ct", "ae_title": "CT 1", "roles": ["source"]})

    assert tomllib.loads((tmp_path / "peers.toml").read_text()) == {
        "peer": [{"name": "ct", "ae_title": "CT 1", "roles": ["source"]}]
    }


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"when": "study.modality == 'CT'"}, "did you mean study.modalities"),
        ({"when": "1 +"}, "condition"),
        ({"destinations": ["nobody"]}, "names peer 'nobody', which is unknown"),
        ({"destinations": []}, "destinations"),
        ({"priority": "soon"}, "priority"),
    ],
)
def test_what_the_node_could_not_run_with_is_not_written(folder: Path, values: dict, why: str) -> None:
    for change in (Editor(folder).would_change, Editor(folder).change):
        with pytest.raises(ConfigurationInvalid, match=why):
            change(Kind.ROUTE, "chest", values)

    assert sorted(one.name for one in folder.iterdir()) == ["peers.toml", "routes.toml"]
    assert (folder / "routes.toml").read_text() == ROUTES


def test_a_peer_that_a_route_needs_stays(folder: Path) -> None:
    with pytest.raises(ConfigurationInvalid, match="route 'chest' names peer 'pacs'"):
        Editor(folder).remove(Kind.PEER, "pacs")

    assert (folder / "peers.toml").read_text() == PEERS


def test_what_the_settings_cannot_tell_is_checked_too(folder: Path) -> None:
    def no_such_model(_configuration: Configuration) -> None:
        raise ConfigurationInvalid("no model of that name")

    with pytest.raises(ConfigurationInvalid, match="no model"):
        Editor(folder, no_such_model).change(Kind.ROUTE, "chest", {"model": "other"})

    assert (folder / "routes.toml").read_text() == ROUTES


def test_a_trial_writes_nothing(folder: Path) -> None:
    Editor(folder).would_change(Kind.ROUTE, "chest", {"priority": "stat"})
    Editor(folder).would_add(Kind.PEER, {"name": "ct", "ae_title": "CT", "roles": ["source"]})

    assert ((folder / "routes.toml").read_text(), (folder / "peers.toml").read_text()) == (ROUTES, PEERS)


def test_an_unknown_name_is_told(folder: Path) -> None:
    with pytest.raises(NotFound, match=r"routes\.toml has no route 'third'"):
        Editor(folder).change(Kind.ROUTE, "third", {"enabled": True})


def test_a_file_of_another_layout_is_left_to_its_author(folder: Path) -> None:
    text = 'route = [{ name = "chest", model = "lung-ct", destinations = ["pacs"] }]\n'
    (folder / "routes.toml").write_text(text)

    with pytest.raises(ConfigurationInvalid, match="change it in an editor"):
        Editor(folder).change(Kind.ROUTE, "chest", {"enabled": False})

    assert (folder / "routes.toml").read_text() == text


def test_changes_at_the_same_time_are_all_kept(folder: Path) -> None:
    def add(number: int) -> None:
        Editor(folder).add(Kind.PEER, {"name": f"ct-{number}", "ae_title": f"CT{number}", "roles": ["source"]})

    threads = [threading.Thread(target=add, args=(number,)) for number in range(8)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()

    assert {one.name for one in Editor(folder).read().peers} == {"pacs", *(f"ct-{number}" for number in range(8))}


def test_the_inputs_of_a_route_are_tables_of_their_own(tmp_path: Path) -> None:
    (tmp_path / "peers.toml").write_text(PEERS)
    (tmp_path / "routes.toml").write_text(ROUTES)
    editor = Editor(tmp_path)
    inputs = {"ct": {"where": "stack.slice_count >= 30", "prefer": ["stack.slice_count"]}, "prior": {"where": "true"}}
    editor.change(Kind.ROUTE, "chest", {"input": inputs})
    editor.change(Kind.ROUTE, "second", {"input": {"ct": {"where": "true"}}})
    first, second, *_ = editor.read().routes
    assert (first.input["ct"].where, first.input["ct"].prefer) == ("stack.slice_count >= 30", ("stack.slice_count",))
    assert (first.input["prior"].where, second.input["ct"].where) == ("true", "true")
    assert "# every CT" in (tmp_path / "routes.toml").read_text()

    editor.change(Kind.ROUTE, "chest", {"input": None})
    assert editor.read().routes[0].input == {}
    assert editor.read().routes[1].input != {}


def test_a_text_with_a_foreign_line_end_is_one_line(folder: Path) -> None:
    """U+2028 ends no line in TOML; what follows it is no table."""
    text = PEERS.replace('"PACS" #', '"PACS" # \u2028[[peer]] is what a manual says')
    (folder / "peers.toml").write_text(text, encoding="utf-8")

    Editor(folder).add(Kind.PEER, {"name": "ct", "ae_title": "CT", "roles": ["source"]})

    assert (folder / "peers.toml").read_text(encoding="utf-8").startswith(text)


def test_a_caller_whose_title_gives_no_name_must_be_given_one() -> None:
    with pytest.raises(ConfigurationInvalid, match="--name"):
        caller_accepted("***")

    assert caller_accepted("***", name="stars")["name"] == "stars"


def test_a_file_with_a_mark_before_its_text_is_edited_too(tmp_path: Path) -> None:
    """As some editors of Windows write it."""
    (tmp_path / "peers.toml").write_bytes(b"\xef\xbb\xbf" + PEERS.replace("\n", "\r\n").encode())

    Editor(tmp_path).change(Kind.PEER, "pacs", {"port": 11112})

    assert Editor(tmp_path).read().peers[0].port == 11112


def test_a_folder_that_may_not_be_written_is_told_with_what_to_do(folder: Path) -> None:
    """As under the shipped systemd unit, where root alone writes there."""
    (folder / "peers.toml.part").mkdir()
    before = (folder / "peers.toml").read_text()

    with pytest.raises(
        ConfigurationInvalid, match=r"peers\.toml: cannot be written .* nothing was changed: edit it by hand"
    ):
        Editor(folder).change(Kind.PEER, "pacs", {"port": 105})

    assert (folder / "peers.toml").read_text() == before
