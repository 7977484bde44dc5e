"""The demo replaces what an earlier demo left, and nothing else."""

from pathlib import Path

import pytest

from node.errors import ConfigurationInvalid
from node.rehearsal.demo import clear


def test_what_an_earlier_demo_left_is_removed(tmp_path: Path) -> None:
    (tmp_path / "summary").mkdir()
    for name in ("demo.json", "node.log", "seg.dcm", "summary/0001.dcm"):
        (tmp_path / name).touch()

    clear(tmp_path)

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("beside", ["", "node.log", "demo.json"])
def test_a_folder_that_holds_anything_else_is_refused_and_left_as_it_is(tmp_path: Path, beside: str) -> None:
    names = sorted(filter(None, (beside, "thesis.txt")))
    for name in names:
        (tmp_path / name).touch()

    with pytest.raises(ConfigurationInvalid, match=r"holds thesis\.txt, which is not an earlier demo's"):
        clear(tmp_path)

    assert sorted(one.name for one in tmp_path.iterdir()) == names
