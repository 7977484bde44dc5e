"""Steps by name: a table holds what each does and takes; a card's chain names steps and sets their parameters."""

import difflib
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType
from typing import Any

from ai.errors import CardInvalid, shown

LARGEST_WHOLE = (1 << 31) - 1
"""No step counts further, and libraries fail beyond it."""

Value = bool | int | float | str | tuple[float, ...] | tuple[int, ...] | None


class Form(str, Enum):
    """How a parameter is written in a card."""

    NUMBER = "number"
    WHOLE = "whole number"
    FLAG = "true or false"
    TEXT = "text"
    WHOLES = "list of whole numbers"
    TRIPLE = "three numbers"
    COUNTS = "three whole numbers"
    INPUT = "name of an input"


class Family(str, Enum):
    """What a step changes; the documents list steps by it."""

    GEOMETRY = "geometry"
    INTENSITY = "intensity"
    FILTER = "filter"
    SEGMENTATION = "segmentation"
    DECISION = "decision"
    CLEANING = "cleaning"


@dataclass(frozen=True)
class Parameter:
    """One parameter of a step.

    unit: what its numbers count. default: None where the card may leave it out and the step finds the value itself;
    required: the card must give it. low, high: the range of each number, both included. choices: the texts it may be.
    above: the parameter it must exceed, where both have a value; not_below: the one it must at least reach.
    """

    name: str
    form: Form
    meaning: str
    unit: str = ""
    default: Value = None
    required: bool = False
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()
    above: str = ""
    not_below: str = ""


@dataclass(frozen=True)
class Step:
    """One row of a table of steps. call: what does it, with the parameters by name; formula: what it computes."""

    name: str
    family: Family
    call: Callable[..., Any]
    formula: str
    parameters: tuple[Parameter, ...] = ()

    @property
    def others(self) -> tuple[str, ...]:
        """The parameters that name another input."""
        return tuple(one.name for one in self.parameters if one.form is Form.INPUT)


Table = Mapping[str, Step]


def table(*steps: Step) -> Table:
    """Steps by name, in their order."""
    return MappingProxyType({step.name: step for step in steps})


@dataclass(frozen=True)
class Chosen:
    """A step as a card sets it. inputs: those it is applied to; none named means every input."""

    step: Step
    values: Mapping[str, Value]
    where: str
    inputs: tuple[str, ...] = ()

    def __str__(self) -> str:
        given = ", ".join(f"{name} = {_written(value)}" for name, value in self.values.items() if value is not None)
        return f"{self.step.name} ({given})" if given else self.step.name


Chain = tuple[Chosen, ...]


def read_chain(
    rows: Sequence[object], known: Table, *, where: str, inputs: Sequence[str] = (), reference: str = ""
) -> Chain:
    """The chain that a card's tables give, in their order; `where` names file and array of tables.

    Raises CardInvalid with the place, what is wrong there, and the nearest name that is known.
    """
    return tuple(_read_step(row, known, f"{where} {number}", inputs, reference) for number, row in enumerate(rows, 1))


def choose(known: Table, name: str, **given: object) -> Chosen:
    """One step set from a program, checked as a card's."""
    return _read_step({"step": name, **given}, known, f"step {name!r}", (), "")


def _read_step(row: object, known: Table, where: str, inputs: Sequence[str], reference: str) -> Chosen:
    if not isinstance(row, Mapping):
        raise CardInvalid(f'{where}: must be a table such as step = "{next(iter(known))}", found {shown(row)}')
    left = dict(row)
    name = left.pop("step", None)
    if not isinstance(name, str) or name not in known:
        raise CardInvalid(f"{where}: no step is called {shown(name)}; {_nearest(str(name), list(known))}")
    step = known[name]
    where = f"{where} ({name})"
    applied = _inputs(left.pop("input", ()), inputs, where)
    values = {one.name: _value(one, left.pop(one.name, None), inputs, where) for one in step.parameters}
    if left:
        allowed = [one.name for one in step.parameters]
        raise CardInvalid(f"{where}: unknown parameter {shown(min(left))}; {_nearest(min(left), allowed)}")
    _check_order(step, values, where)
    _check_other(step, values, applied, reference, where)
    return Chosen(step, MappingProxyType(values), where, applied)


def _inputs(given: object, inputs: Sequence[str], where: str) -> tuple[str, ...]:
    names = (given,) if isinstance(given, str) else tuple(given) if isinstance(given, list | tuple) else (given,)
    for name in names:
        if not isinstance(name, str) or name not in inputs:
            raise CardInvalid(f"{where}: no input is called {shown(name)}; {_nearest(str(name), inputs)}")
    return tuple(str(name) for name in names)


def _check_order(step: Step, values: Mapping[str, Value], where: str) -> None:
    """A range without a value in it would be told later as a fault of the images, or find nothing in any of them."""
    for one in step.parameters:
        name = one.above or one.not_below
        upper, lower = values[one.name], values.get(name)
        if not isinstance(upper, float) or not isinstance(lower, float):
            continue
        if upper < lower or (one.above and upper == lower):
            raise CardInvalid(f"{where}: {one.name} = {upper:g} must be {_order(one)} = {lower:g}")


def _order(parameter: Parameter) -> str:
    if parameter.above:
        return f"more than {parameter.above}"
    return f"at least {parameter.not_below}" if parameter.not_below else ""


def _check_other(step: Step, values: Mapping[str, Value], applied: tuple[str, ...], reference: str, where: str) -> None:
    for name in step.others:
        if values[name] in applied:
            raise CardInvalid(f"{where}: {name} = {values[name]!r} is the input itself; name another")
    moves = step.family is Family.GEOMETRY and step.others
    if moves and reference and values[step.others[0]] != reference and reference in (applied or (reference,)):
        raise CardInvalid(f"{where}: would move the reference {reference!r}; move the other input to it instead")


def _value(parameter: Parameter, given: object, inputs: Sequence[str], where: str) -> Value:
    if given is None:
        if parameter.required:
            raise CardInvalid(f"{where}: {parameter.name} is missing; give {_asked(parameter)}")
        return parameter.default
    found = _formed(parameter, given)
    if found is None:
        raise CardInvalid(f"{where}: {parameter.name} must be {_asked(parameter)}, found {shown(given)}")
    if parameter.form is Form.INPUT and found not in inputs:
        raise CardInvalid(f"{where}: no input is called {shown(found)}; {_nearest(str(found), inputs)}")
    return found


def _formed(parameter: Parameter, given: object) -> Value:
    """The value as its form has it, or None where it is not of that form or out of range."""
    match parameter.form:
        case Form.FLAG:
            return given if isinstance(given, bool) else None
        case Form.TEXT | Form.INPUT:
            right = isinstance(given, str) and (not parameter.choices or given in parameter.choices)
            return str(given) if right else None
        case Form.NUMBER | Form.WHOLE:
            numbers = _numbers([given], parameter)
            return None if numbers is None else numbers[0]
    if not isinstance(given, list | tuple) or not given:
        return None
    if parameter.form in (Form.TRIPLE, Form.COUNTS) and len(given) != 3:
        return None
    return _numbers(given, parameter)


def _numbers(given: Sequence[object], parameter: Parameter) -> tuple[float, ...] | tuple[int, ...] | None:
    whole = parameter.form in (Form.WHOLE, Form.WHOLES, Form.COUNTS)
    found: list[float] = []
    for one in given:
        if isinstance(one, bool) or not isinstance(one, int if whole else int | float):
            return None
        if not (parameter.low is None or one >= parameter.low) or not (parameter.high is None or one <= parameter.high):
            return None
        if not abs(one) <= (LARGEST_WHOLE if whole else sys.float_info.max):  # neither is what is not finite
            return None
        found.append(one)
    return tuple(int(one) for one in found) if whole else tuple(float(one) for one in found)


def _asked(parameter: Parameter) -> str:
    if parameter.choices:
        return " or ".join(f'"{one}"' for one in parameter.choices)
    reach = bounds(parameter)
    return " ".join(part for part in (parameter.form.value, reach and f"({reach})", parameter.unit) if part)


def bounds(parameter: Parameter) -> str:
    """The range of a parameter in words, empty where it has none."""
    return " and ".join(part for part in (_range(parameter), _order(parameter)) if part)


def _range(parameter: Parameter) -> str:
    if parameter.low is not None and parameter.high is not None:
        return f"{parameter.low:g} to {parameter.high:g}"
    if parameter.low is not None:
        return f"at least {parameter.low:g}"
    return "" if parameter.high is None else f"at most {parameter.high:g}"


def _nearest(name: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    return f"did you mean {close[0]!r}?" if close else f"there are: {', '.join(known) or 'none'}"


def _written(value: Value) -> str:
    if isinstance(value, tuple):
        return "[" + ", ".join(f"{one:g}" for one in value) + "]"
    return f"{value:g}" if isinstance(value, float) else str(value)
