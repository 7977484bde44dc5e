"""Files below a folder: each once, in order, and what is closed is told."""

import os
from pathlib import Path

from node.state.files import files_below


def test_files_of_folders_within_are_found_in_order(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    made = [tmp_path / "a", tmp_path / "b" / "a", tmp_path / "c"]
    for one in made:
        one.touch()

    assert files_below(tmp_path) == (made, [])


def test_a_file_is_its_own_folder(tmp_path: Path) -> None:
    assert files_below(tmp_path / "one") == ([tmp_path / "one"], [])


def test_a_folder_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    """By its path, which is too long: permissions keep nobody out where tests run as root."""
    (tmp_path / "a").touch()
    here = os.open(tmp_path, os.O_RDONLY)
    for _ in range(20):
        os.mkdir("n" * 250, dir_fd=here)
        below = os.open("n" * 250, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)

    files, closed = files_below(tmp_path)

    assert files == [tmp_path / "a"]
    assert [one.strerror for one in closed] == ["File name too long"]
