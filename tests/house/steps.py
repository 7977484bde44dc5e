"""Writes the tables of docs/extend/preparation.md that are read off the code: python -m tests.house.steps."""

from pathlib import Path

from ai.postprocessing.table import FINISHING
from ai.preparation.table import PREPARATION
from ai.step import Family, Form, Parameter, Step, Value, bounds

PAGE = Path(__file__).parents[2] / "docs" / "extend" / "preparation.md"


def _rows(family: Family) -> str:
    steps = [one for one in (*PREPARATION.values(), *FINISHING.values()) if one.family is family]
    return "\n".join(["| step | parameters | what it computes |", "|---|---|---|", *map(_row, steps)])


def _row(step: Step) -> str:
    parameters = "<br>".join(_parameter(one) for one in step.parameters)
    return f"| `{step.name}` | {parameters} | {step.formula.replace('|', chr(92) + '|')} |"


def _parameter(one: Parameter) -> str:
    words = [one.meaning]
    if one.choices and len(one.choices) < 10:
        words.append(", ".join(f"`{choice}`" for choice in one.choices))
    elif one.form not in (Form.NUMBER, Form.TEXT):
        words.append(one.form.value)
    words += [word for word in (one.unit, bounds(one)) if word]
    if one.required:
        words.append("must be given")
    elif one.default is not None:
        words.append(f"default {_toml(one.default)}")
    return f"`{one.name}`: {'; '.join(words)}"


def _toml(value: Value) -> str:
    if isinstance(value, tuple):
        return "[" + ", ".join(_toml(one) for one in value) + "]"
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, int | float) else f'"{value}"'


PARTS = {family.value: family for family in Family}


def with_parts(page: str) -> str:
    """The page with every generated part as the code has it now."""
    for name, family in PARTS.items():
        begin, end = f"<!-- {name} -->\n", f"\n<!-- end of {name} -->"
        head, _, rest = page.partition(begin)
        page = head + begin + _rows(family) + end + rest.partition(end)[2]
    return page


if __name__ == "__main__":
    PAGE.write_text(with_parts(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
