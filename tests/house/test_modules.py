"""The house's own rules: small modules, one sentence each, and no path of any machine."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MODULES = sorted(path for top in ("node", "ai") for path in (ROOT / top).rglob("*.py"))
LINES_LIMIT = 400


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", MODULES, ids=named)
def test_module_is_small_and_says_what_it_is(path: Path) -> None:
    """A module has at most 400 lines (migrations aside) and begins with one sentence."""
    text = path.read_text(encoding="utf-8")
    docstring = ast.get_docstring(ast.parse(text)) or ""

    assert docstring.splitlines()[:1] != []
    assert docstring.splitlines()[0].endswith((".", ":", ",", ";")) or "\n\n" not in docstring
    assert "migrations" in path.parts or len(text.splitlines()) <= LINES_LIMIT


def test_json_for_programs_is_printed_in_one_place() -> None:
    """With the version by which a program sees that names have changed."""
    printing = [path for path in MODULES if path.parent.name == "cli" and "json.dumps" in path.read_text()]

    assert [named(path) for path in printing] == ["node/cli/here.py"]


def test_broad_excepts_stand_at_the_four_edges_only() -> None:
    """Only the C-STORE handler, the stage runner (a node's, and that of `isocenter run`), the courier and the web pages
    may catch everything."""
    runners = {"node/jobs/runner.py", "node/jobs/offline.py"}
    edges = {"node/intake/handlers.py", *runners, "node/sending/courier.py", "node/admin/pages.py"}
    found = {
        named(path)
        for path in MODULES
        for one in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(one, ast.ExceptHandler)
        and (one.type is None or (isinstance(one.type, ast.Name) and one.type.id in ("Exception", "BaseException")))
    }

    assert found <= edges
