"""A model is installed whole, pinned and agreed to, or not at all."""

import zipfile
from pathlib import Path

import pytest

from ai.errors import CardInvalid
from ai.registry import find_model
from node.errors import ConfigurationInvalid, NotFound
from node.jobs.installing import Offered, install
from tests.makers.networks import write_bright


def yes(_offered: Offered) -> bool:
    return True


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = write_bright(tmp_path / "bright")
    (folder / "LICENSE").write_text("as is")
    return folder


@pytest.fixture
def models(tmp_path: Path) -> Path:
    return tmp_path / "config" / "models"


def zipped(folder: Path, *more: tuple[str, bytes]) -> Path:
    made = folder.with_suffix(".zip")
    with zipfile.ZipFile(made, "w") as archive:
        for one in sorted(folder.rglob("*")):
            archive.write(one, one.relative_to(folder.parent))
        for name, content in more:
            archive.writestr(name, content)
    return made


@pytest.mark.parametrize("as_zip", [False, True])
def test_a_folder_or_archive_becomes_a_model(source: Path, models: Path, as_zip: bool) -> None:
    shown: list[Offered] = []

    folder = install(zipped(source) if as_zip else source, models, lambda one: not shown.append(one))

    assert folder == models / "bright"
    assert find_model("bright", models).card.name == "bright"
    assert (shown[0].licence_file, shown[0].card.licence) == ("LICENSE", "Apache-2.0")
    assert len(shown[0].weights_sha256) == 64
    assert sorted(one.name for one in models.iterdir()) == ["bright"]


def test_a_pin_that_is_left_empty_is_filled_in(source: Path, models: Path) -> None:
    card = source / "card.toml"
    pinned = card.read_text()
    start = pinned.index('sha256 = "') + len('sha256 = "')
    card.write_text(pinned[:start] + pinned[start + 64 :])

    folder = install(source, models, yes)

    assert folder is not None
    assert (folder / "card.toml").read_text() == pinned


def test_nothing_is_left_where_nobody_agreed(source: Path, models: Path) -> None:
    assert install(source, models, lambda _one: False) is None
    assert not list(models.iterdir())


def test_weights_that_are_not_the_pinned_ones_are_refused(source: Path, models: Path) -> None:
    (source / "model.bin").write_bytes(b"another")

    with pytest.raises(CardInvalid, match="the card pins"):
        install(source, models, yes)
    assert not list(models.iterdir())


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ('weights = "modell.bin"\nsha256 = ""', "weights names 'modell.bin', and no such file is in the folder; there "
         "are LICENSE, card.toml, model.bin"),
        ('weights = "modell.bin"\nsha256 = "' + 64 * "0" + '"', "modell.bin: the network's file is not there"),
        ('weights = "../model.bin"\nsha256 = ""', "weights must be a file in the model's own folder, found '../model"),
        ('sha256 = ""', "[network]: weights is missing: give it as a text"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("as_zip", [False, True])
def test_what_is_wrong_is_said_of_the_files_that_were_offered(
    source: Path, models: Path, lines: str, words: str, as_zip: bool
) -> None:
    """The folder into which they are put aside is gone by the time that somebody reads it."""
    card = source / "card.toml"
    kept = [one for one in card.read_text().splitlines() if not one.startswith(("weights", "sha256"))]
    kept.insert(kept.index("[network]") + 1, lines)
    card.write_text("\n".join(kept))
    offered = zipped(source) if as_zip else source

    with pytest.raises(CardInvalid) as told:
        install(offered, models, yes)

    assert words in str(told.value)
    assert str(offered) in str(told.value)
    assert ".incoming" not in str(told.value)


def test_an_archive_that_leads_out_is_refused(source: Path, models: Path) -> None:
    with pytest.raises(CardInvalid, match="leads out"):
        install(zipped(source, ("../../evil", b"x")), models, yes)
    assert not list(models.iterdir())
    assert not (models.parent / "evil").exists()


def test_a_second_model_of_that_name_is_refused(source: Path, models: Path) -> None:
    install(source, models, yes)

    with pytest.raises(ConfigurationInvalid, match="is installed"):
        install(source, models, yes)


def test_what_is_no_model_is_said(tmp_path: Path, models: Path) -> None:
    (tmp_path / "empty").mkdir()

    with pytest.raises(CardInvalid, match=r"holds no card\.toml"):
        install(tmp_path / "empty", models, yes)
    with pytest.raises(NotFound):
        install(tmp_path / "nowhere", models, yes)
