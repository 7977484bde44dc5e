"""Conditions of routes, written in CEL: compiled once, then decided as true, false or undecided."""

import difflib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from cel_expr_python import cel

from node.errors import ConfigurationInvalid

CelValue = None | bool | int | float | str | list[str]
Names = Mapping[str, Mapping[str, CelValue]]
"""What a condition sees: {"study": {...}, "stack": {...}}; an attribute the source lacks is left out."""

# fmt: off
STUDY_NAMES = frozenset({
    "modalities", "description", "body_parts", "patient_age_y", "patient_sex", "calling_ae", "called_ae",
    "stack_count", "date", "accession",
})
STACK_NAMES = frozenset({
    "modality", "description", "body_part", "image_type", "orientation", "slice_count", "slice_thickness_mm",
    "spacing_mm", "coverage_mm", "pixel_spacing_mm", "rows", "columns", "kernel", "contrast", "series_number",
    "laterality", "view",
})
# fmt: on
_KNOWN = {"study": STUDY_NAMES, "stack": STACK_NAMES}
_ATTRIBUTE = re.compile(r"\b(study|stack)\.([A-Za-z_][A-Za-z_0-9]*)")
_ALONE = re.compile(r"study\.\w+|stack\.(?!contrast\b)\w+")
"""An attribute and no more: contrast alone is true or false."""
_TEXT = re.compile(r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"")
_PLACE = re.compile(r"^ERROR: <input>:(\d+):(\d+): ")
_ABSENT = re.compile(r'Key not found in map : "([^"]*)"')


@dataclass(frozen=True)
class Undecided:
    """The condition cannot be decided: an attribute is absent, or does not suit the comparison."""

    why: str


Verdict = bool | Undecided
Number = float | Undecided
Condition = Callable[[Names], Verdict]
Preference = Callable[[Names], Number]


def compile_condition(text: str, *, of_stack: bool) -> Condition:
    """A condition as a callable. Empty text is always true.

    Raises ConfigurationInvalid where it is not CEL, names an attribute that does not exist, or cannot be a bool.
    """
    if not text.strip():
        return lambda _names: True
    expression = _compile(text, of_stack=of_stack)
    if expression.return_type() not in (cel.Type.BOOL, cel.Type.DYN) or _ALONE.fullmatch(text.strip()):
        raise ConfigurationInvalid(f"condition {text!r}: it is neither true nor false; compare it with something")

    def decide(names: Names) -> Verdict:
        found = expression.eval(data=dict(names))
        value = found.value()
        if isinstance(value, bool):
            return value
        return Undecided(_reason(found.type(), value))

    return decide


def compile_preference(text: str) -> Preference:
    """A preference among stacks as a callable that gives a number; true counts 1, false 0, the higher is preferred."""
    expression = _compile(text, of_stack=True)

    def rank(names: Names) -> Number:
        found = expression.eval(data=dict(names))
        value = found.value()
        if isinstance(value, (bool, int, float)):
            return float(value)
        return Undecided(_reason(found.type(), value))

    return rank


def _compile(text: str, *, of_stack: bool) -> cel.Expression:
    allowed = ("study", "stack") if of_stack else ("study",)
    for owner, name in _ATTRIBUTE.findall(_TEXT.sub("''", text)):
        if owner not in allowed:
            raise ConfigurationInvalid(f"condition {text!r}: only study.… can be used here, not {owner}.{name}")
        if name not in _KNOWN[owner]:
            near = difflib.get_close_matches(name, _KNOWN[owner], 1)
            meant = f"; did you mean {owner}.{near[0]}?" if near else f"; known are {', '.join(sorted(_KNOWN[owner]))}"
            raise ConfigurationInvalid(f"condition {text!r}: there is no {owner}.{name}{meant}")
    environment = cel.NewEnv(variables=dict.fromkeys(allowed, cel.Type.Map(cel.Type.STRING, cel.Type.DYN)))
    try:
        return environment.compile(text)
    except (RuntimeError, ValueError) as error:  # the binding raises these two for every syntax and type error
        first = _PLACE.sub(r"line \1, column \2: ", str(error).removeprefix("INVALID_ARGUMENT: ").splitlines()[0])
        raise ConfigurationInvalid(f"condition {text!r}: {first}") from error


def _reason(kind: cel.Type, value: object) -> str:
    if kind != cel.Type.ERROR:
        return f"it gives {value!r}, neither true nor false"
    absent = _ABSENT.search(str(value))
    return f"{absent.group(1)} is absent" if absent else str(value)
