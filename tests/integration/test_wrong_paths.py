"""Commands that are given a file or a folder which is none say so in a line."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.makers.ledger import books


@pytest.mark.parametrize(
    ("command", "home"),
    [
        (["backup", "{file}"], "home"),
        (["backup", "{file}/below"], "home"),
        (["run", "lung-ct", "{folder}", "--out", "{file}"], "home"),
        (["import", "{folder}"], "file"),
        (["serve"], "file"),
    ],
)
def test_what_is_no_folder_is_told_in_one_line(tmp_path: Path, command: list[str], home: str) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("not a folder")
    with books(tmp_path / "home"):
        pass
    places = {"file": str(tmp_path / "file"), "folder": str(tmp_path / "folder")}
    ended = subprocess.run(
        [sys.executable, "-m", "node", *(one.format(**places) for one in command)],
        env={**os.environ, "ISOCENTER_HOME": str(tmp_path / home), "ISOCENTER_CONFIG": str(tmp_path / "folder")},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert ended.returncode == 1
    assert ended.stderr.splitlines()[-1].startswith(f"isocenter: {tmp_path / 'file'}")
    assert "Traceback" not in ended.stderr
