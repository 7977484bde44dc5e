"""What is used of pynetdicom beyond its documented interface is there, and in one place."""

import re
from pathlib import Path

import pytest
from pynetdicom import _config
from pynetdicom.utils import set_ae

from node.intake.library import configure_library

PACKAGES = [Path(__file__).parents[3] / "node" / name for name in ("intake", "state", "core", "service")]


def test_the_judge_of_ae_titles_is_still_the_librarys(monkeypatch: pytest.MonkeyPatch) -> None:
    """`_config.VALIDATORS`: replacing it changes what the library takes; with another version this fails loudly."""
    monkeypatch.setattr(_config, "VALIDATORS", dict(_config.VALIDATORS))
    with pytest.raises(ValueError, match="control"):
        set_ae("PACS\0\0", "ae", allow_empty=False)
    configure_library()

    assert set_ae("PACS\0\0", "ae", allow_empty=False) == "PACS\0\0"
    with pytest.raises(ValueError, match="no AE title"):
        set_ae("a\\b", "ae", allow_empty=False)


def test_private_names_of_the_library_are_touched_in_one_module() -> None:
    """So that whoever changes the version knows where to look."""
    found = {
        path.name
        for package in PACKAGES
        for path in package.rglob("*.py")
        if re.search(r"pynetdicom(\.\w+)* import .*\b_|pynetdicom\._|import _config", path.read_text())
    }

    assert found == {"library.py"}
