"""The catalogue's models: every entry can be read, and what its publisher gives becomes a model, or nothing does."""

import hashlib
import http.server
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ai.card import read_card
from ai.errors import CardInvalid
from ai.registry import find_model
from node.cli.app import app
from node.errors import ConfigurationInvalid, NotFound
from node.jobs.fetching import Coming, fetch
from node.jobs.published import Published, read_catalogue
from node.results.code_check import doubtful_codes
from tests.makers.networks import write_bright

SHIPPED = Path(__file__).parents[3] / "config" / "models"
ENTRIES = read_catalogue(SHIPPED)


def yes(_shown: object) -> bool:
    return True


@pytest.mark.parametrize("name", ENTRIES)
def test_every_entry_says_what_is_known_and_has_codes_of_the_standard(name: str) -> None:
    entry = ENTRIES[name]
    card = find_model(name).card if entry.ships else entry.card

    assert entry.read
    assert entry.licence
    assert entry.ships or entry.source.startswith("https://")
    assert entry.verified is entry.ships
    assert doubtful_codes(card) == []
    assert card.segments or card.classifications


def test_totalsegmentators_labels_are_in_its_order() -> None:
    keys = [one.key for one in ENTRIES["totalsegmentator-total-fast"].card.segments]

    assert len(keys) == 117
    assert [keys[label - 1] for label in (1, 2, 5, 117)] == ["spleen", "kidney-right", "liver", "costal-cartilages"]


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """A catalogue with one entry, whose archive lies at `bright.zip`."""
    folder = tmp_path / "config" / "models"
    folder.mkdir(parents=True)
    source = write_bright(tmp_path / "bright")
    with zipfile.ZipFile(tmp_path / "bright.zip", "w") as archive:
        archive.write(source / "model.bin", "published/inner/model.bin")
    card = (source / "card.toml").read_text()
    start = card.index('sha256 = "') + len('sha256 = "')
    card = card[:start] + card[start + 64 :]
    table = (
        '[catalogue]\nverified = false\nread = "its page"\nlicence = "MIT"\nsource = "{}"\nfolder = "published/inner"\n'
    )
    (folder / "bright.toml").write_text(card + table.format("http://127.0.0.1:9/bright.zip"))
    return folder


def entry(models: Path) -> Published:
    return read_catalogue(models)["bright"]


def test_an_archive_becomes_a_pinned_model(models: Path, tmp_path: Path) -> None:
    shown: list[Coming] = []

    folder = fetch(
        entry(models), models, file=tmp_path / "bright.zip", wanted=lambda one: not shown.append(one), agreed=yes
    )

    weights = (tmp_path / "bright" / "model.bin").read_bytes()
    assert folder == models / "bright"
    assert find_model("bright", models).network.sha256 == hashlib.sha256(weights).hexdigest()
    assert shown[0].size_mb == pytest.approx((tmp_path / "bright.zip").stat().st_size / 1e6)


@pytest.mark.parametrize("asked", ["wanted", "agreed"])
def test_nothing_is_left_where_nobody_agreed(models: Path, tmp_path: Path, asked: str) -> None:
    answers = {"wanted": yes, "agreed": yes, asked: lambda _one: False}

    assert fetch(entry(models), models, file=tmp_path / "bright.zip", **answers) is None
    assert [one.name for one in models.iterdir()] == ["bright.toml"]


def test_another_file_than_the_pinned_one_is_refused(models: Path, tmp_path: Path) -> None:
    file = models / "bright.toml"
    file.write_text(file.read_text() + f'sha256 = "{"0" * 64}"\n')

    with pytest.raises(CardInvalid, match="the catalogue pins"):
        fetch(entry(models), models, file=tmp_path / "bright.zip", wanted=yes, agreed=yes)
    assert [one.name for one in models.iterdir()] == ["bright.toml"]


def test_a_publisher_that_does_not_answer_is_told_with_the_way_round(models: Path) -> None:
    with pytest.raises(NotFound, match="--file FILE"):
        fetch(entry(models), models, file=None, wanted=yes, agreed=yes)


@pytest.mark.parametrize("source", ["http://[::1", "http://a:b/c", "file:///etc/passwd"])
def test_a_source_that_is_no_address_is_told(models: Path, source: str) -> None:
    wrong = replace(entry(models), source=source)

    with pytest.raises(NotFound, match="cannot be had"):
        fetch(wrong, models, file=None, wanted=yes, agreed=yes)


def test_what_ships_is_not_fetched() -> None:
    with pytest.raises(ConfigurationInvalid, match="ships with"):
        fetch(ENTRIES["lung-ct"], SHIPPED, file=None, wanted=yes, agreed=yes)


@pytest.fixture
def publisher(tmp_path: Path) -> Iterator[str]:
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *given: object) -> None:
            super().__init__(*given, directory=str(tmp_path))

        def log_message(self, *_given: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_the_commands_show_fetch_and_list_it(models: Path, publisher: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ISOCENTER_CONFIG", str(models.parent))
    file = models / "bright.toml"
    file.write_text(file.read_text().replace("http://127.0.0.1:9", publisher))

    def said(*words: str) -> str:
        result = CliRunner().invoke(app, ["models", *words], input="y\nn\n")
        return result.output

    assert "to be fetched" in said("list")
    assert "NO: never run by us. its page" in said("show", "bright")
    refused = said("fetch", "bright")
    assert "licence  MIT" in refused
    assert "not installed" in refused
    assert "installed in" in said("fetch", "bright", "--yes")
    assert "to be fetched" not in said("list")
    assert read_card(models / "bright" / "card.toml").name == "bright"
