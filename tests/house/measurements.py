"""Writes the table of docs/extend/measurements.md that is computed: python -m tests.house.measurements."""

from pathlib import Path

from ai.contract import Code
from ai.measures.table import FEATURES, Family, Feature, Unit
from tests.makers.ibsi import PUBLISHED, agrees, computed

PAGE = Path(__file__).parents[2] / "docs" / "extend" / "measurements.md"
BEGIN, END = "<!-- features -->\n", "\n<!-- end of features -->"
CHAPTERS = {
    Family.SHAPE: "shape",
    Family.PLANE: "in a slice",
    Family.CENTROID: "centroid",
    Family.INTENSITY: "values",
    Family.TEXTURE: "co-occurrence",
}
UNITS = {
    Unit.ONE: "",
    Unit.VALUE: "value",
    Unit.VALUE2: "value²",
    Unit.MM2: "mm²",
    Unit.MM3: "mm³",
    Unit.PER_MM: "1/mm",
}


def features() -> str:
    """Each feature with its code, and its value for the digital phantom beside the published one."""
    found = computed()
    rows = [_row(key, one, found[key]) for key, one in FEATURES.items()]
    head = ["| key | of | code | unit | published | here |", "|---|---|---|---|---|---|"]
    return "\n".join([*head, *rows])


def _row(key: str, feature: Feature, value: float) -> str:
    published = PUBLISHED.get(key)
    if published is None:
        compared = f"none | {value:.3g}"
    else:
        compared = f"{published:g} | {value:.3g}" + ("" if agrees(value, published) else " ✗")
    unit = UNITS.get(feature.unit, feature.unit.value)
    return f"| `{key}` | {CHAPTERS[feature.family]} | {_code(feature.name)} | {unit} | {compared} |"


def _code(code: Code) -> str:
    return f"{code.value}, {code.scheme}, {code.meaning}"


def with_table(page: str) -> str:
    """The page with its table as the code has it now."""
    head, _, rest = page.partition(BEGIN)
    return head + BEGIN + features() + END + rest.partition(END)[2]


if __name__ == "__main__":
    PAGE.write_text(with_table(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
