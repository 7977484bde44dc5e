"""Archives of strangers: nothing is written outside the folder, no link is made, and no disk is filled."""

import stat
import zipfile
from pathlib import Path

import pytest

from ai.errors import CardInvalid
from ai.networks import archive
from ai.networks.archive import copy_folder, unpack


def zipped(path: Path, *members: tuple[str | zipfile.ZipInfo, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made:
        for name, content in members:
            made.writestr(name, content)
    return path


def link(name: str) -> zipfile.ZipInfo:
    found = zipfile.ZipInfo(name)
    found.external_attr = (stat.S_IFLNK | 0o777) << 16
    return found


def test_a_plain_archive_is_unpacked(tmp_path: Path) -> None:
    unpack(zipped(tmp_path / "a.zip", ("card.toml", b"x"), ("models/model.safetensors", b"y")), tmp_path / "out")

    assert (tmp_path / "out" / "models" / "model.safetensors").read_bytes() == b"y"


@pytest.mark.parametrize(
    ("member", "words"),
    [
        ("../outside", "leads out"),
        ("models/../../outside", "leads out"),
        ("/etc/outside", "leads out"),
        ("models\\..\\outside", "leads out"),
        ("C:/outside", "leads out"),
        (link("models/model.pt"), "is a link"),
    ],
    ids=str,
)
def test_names_and_links_that_lead_out_are_refused(tmp_path: Path, member: str | zipfile.ZipInfo, words: str) -> None:
    source = zipped(tmp_path / "a.zip", ("card.toml", b"x"), (member, b"/etc/passwd"))

    with pytest.raises(CardInvalid, match=words):
        unpack(source, tmp_path / "out")

    assert [one.name for one in tmp_path.iterdir()] == ["a.zip"]


def test_a_bomb_is_refused_before_it_unfolds(tmp_path: Path) -> None:
    source = zipped(tmp_path / "a.zip", ("zeros", bytes(64 << 20)))

    with pytest.raises(CardInvalid, match="unfolds more than"):
        unpack(source, tmp_path / "out")

    assert not (tmp_path / "out").exists()


def test_a_bomb_of_many_small_files_is_refused_before_it_unfolds(tmp_path: Path) -> None:
    """Each below what may unfold as it likes, together 80 MB out of some 100 kB."""
    source = zipped(tmp_path / "a.zip", *((f"zeros/{number}", bytes(1 << 20)) for number in range(80)))

    with pytest.raises(CardInvalid, match="files together unfold more than 20 times"):
        unpack(source, tmp_path / "out")

    assert not (tmp_path / "out").exists()


def test_an_archive_that_is_too_large_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "MOST_BYTES", 100)

    with pytest.raises(CardInvalid, match="unfolds to more"):
        unpack(zipped(tmp_path / "a.zip", ("a", bytes(60)), ("b", bytes(60))), tmp_path / "out")


def test_two_members_of_one_name_are_refused(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="Duplicate name"):
        source = zipped(tmp_path / "a.zip", ("a", b"1"), ("a", b"2"))

    with pytest.raises(CardInvalid, match="twice"):
        unpack(source, tmp_path / "out")


@pytest.mark.parametrize("name", [".", "x" * 256, "a/b"])
def test_names_that_no_file_can_have_are_refused(tmp_path: Path, name: str) -> None:
    """The last one is a file in what is a file itself."""
    with pytest.raises(CardInvalid, match=r"no file can be called|twice"):
        unpack(zipped(tmp_path / "a.zip", ("a", b"1"), (name, b"2")), tmp_path / "out")


def test_what_is_packed_otherwise_or_damaged_is_refused(tmp_path: Path) -> None:
    content = bytearray(zipped(tmp_path / "a.zip", ("a", bytes(range(256)) * 20)).read_bytes())
    content[40:60] = b"\xff" * 20
    (tmp_path / "a.zip").write_bytes(content)
    with zipfile.ZipFile(tmp_path / "b.zip", "w", zipfile.ZIP_LZMA) as other:
        other.writestr("a", b"1")

    with pytest.raises(CardInvalid, match="not a whole zip"):
        unpack(tmp_path / "a.zip", tmp_path / "out")
    with pytest.raises(CardInvalid, match="other than deflate"):
        unpack(tmp_path / "b.zip", tmp_path / "out")


def test_what_is_no_archive_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(b"PK\3\4 not really")

    with pytest.raises(CardInvalid, match="not a whole zip"):
        unpack(tmp_path / "a.zip", tmp_path / "out")


def test_a_link_in_a_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "model.safetensors").symlink_to("/etc/passwd")

    with pytest.raises(CardInvalid, match="is a link"):
        copy_folder(tmp_path / "in", tmp_path / "out")

    assert not (tmp_path / "out").exists()
