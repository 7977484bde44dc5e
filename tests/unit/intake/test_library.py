"""What is used of pynetdicom beyond its documented interface is there, and in one place."""

import ast
import tomllib
from collections.abc import Callable
from pathlib import Path

import pynetdicom
import pytest
from pynetdicom import _config
from pynetdicom.utils import set_ae

from node.intake.library import configure_library

NODE = Path(__file__).parents[3] / "node"


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
    """So that whoever changes the version knows where to look: imports, and attributes of what was imported."""
    found = {}
    for path in NODE.rglob("*.py"):
        names = private_names(ast.parse(path.read_text()))
        if names:
            found[path.name] = names

    assert found == {"library.py": {"_config"}}


def test_the_library_is_the_version_whose_private_name_was_looked_at() -> None:
    """With another one this fails loudly: look at `_config.VALIDATORS` again, then change the pin and this."""
    wanted = tomllib.loads((NODE.parent / "pyproject.toml").read_text())["project"]["dependencies"]

    assert pynetdicom.__version__ == "3.0.4"
    assert "pynetdicom==3.0.4" in wanted
    assert isinstance(_config.VALIDATORS["AE"], Callable)


def private_names(module: ast.Module) -> set[str]:
    """Private names of pynetdicom that a module imports, or reaches through an imported name."""
    imported: set[str] = set()
    found: set[str] = set()
    for one in ast.walk(module):
        if isinstance(one, ast.ImportFrom) and (one.module or "").partition(".")[0] == "pynetdicom":
            imported |= {alias.asname or alias.name for alias in one.names}
            found |= {alias.name for alias in one.names if alias.name.startswith("_")}
            found |= {part for part in (one.module or "").split(".") if part.startswith("_")}
        elif isinstance(one, ast.Import):
            imported |= {alias.asname or "pynetdicom" for alias in one.names if alias.name.startswith("pynetdicom")}
            modules = [alias.name for alias in one.names if alias.name.startswith("pynetdicom.")]
            found |= {part for name in modules for part in name.split(".") if part.startswith("_")}
    for one in ast.walk(module):
        if isinstance(one, ast.Attribute) and one.attr.startswith("_") and not one.attr.startswith("__"):
            root = one.value
            while isinstance(root, ast.Attribute | ast.Call):
                root = root.value if isinstance(root, ast.Attribute) else root.func
            if isinstance(root, ast.Name) and root.id in imported:
                found.add(one.attr)
    return found
