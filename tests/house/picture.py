"""Writes the parts of ARCHITECTURE.md that are read off the code: python -m tests.house.picture."""

import ast
from pathlib import Path

from node.core.job import DELIVERY_TRANSITIONS, JOB_TRANSITIONS, STUDY_TRANSITIONS

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "ARCHITECTURE.md"
# fmt: off
PLACES = (
    "errors", "settings", "configuration", "conditions", "logs", "core", "state", "intake", "jobs", "results",
    "sending", "actions", "admin", "rehearsal", "bench", "service", "cli",
)
# fmt: on
"""The order in which node/ is read: what everything stands on, then the way a study travels, then who runs it."""


def sentence(path: Path) -> str:
    """The first line of a module's docstring."""
    return (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").splitlines()[0]


def tree() -> str:
    """Every module with its sentence."""
    lines = [f"node/ — {sentence(ROOT / 'node' / '__init__.py')}"]
    for name in PLACES:
        lines += branch(ROOT / "node" / name, 1)
    lines += ["", f"ai/ — {sentence(ROOT / 'ai' / '__init__.py')}"]
    for path in sorted((ROOT / "ai").iterdir()):
        lines += branch(path.with_suffix(""), 1) if path.name != "__init__.py" else []
    return "\n".join(lines)


def branch(place: Path, depth: int) -> list[str]:
    """A module's line, or a folder's with those of its modules."""
    indent = "    " * depth
    if place.with_suffix(".py").is_file():
        return [f"{indent}{place.name}.py — {sentence(place.with_suffix('.py'))}"]
    if not (place / "__init__.py").is_file() or place.name == "migrations":
        return []
    lines = [f"{indent}{place.name}/ — {sentence(place / '__init__.py')}"]
    for path in sorted(place.iterdir()):
        if path.name not in ("__init__.py", "__pycache__"):
            lines += branch(path.with_suffix(""), depth + 1)
    return lines


def machine(table: dict) -> str:
    """A state machine as a mermaid diagram."""
    lines = ["stateDiagram-v2"]
    lines += [
        f"    {before.value} --> {after.value}: {event.value}"
        for (before, event), after in table.items()
        if before != after
    ]
    return "\n".join(lines)


def parts() -> dict[str, str]:
    """What is read off the code, by the name of its place in the page."""
    return {
        "tree": f"```text\n{tree()}\n```",
        "study": f"```mermaid\n{machine(STUDY_TRANSITIONS)}\n```",
        "job": f"```mermaid\n{machine(JOB_TRANSITIONS)}\n```",
        "delivery": f"```mermaid\n{machine(DELIVERY_TRANSITIONS)}\n```",
    }


def with_parts(page: str) -> str:
    """The page with every part as the code has it now."""
    for name, text in parts().items():
        start, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
        before, _, rest = page.partition(start)
        _, _, after = rest.partition(end)
        page = f"{before}{start}\n{text}\n{end}{after}"
    return page


if __name__ == "__main__":
    PAGE.write_text(with_parts(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
