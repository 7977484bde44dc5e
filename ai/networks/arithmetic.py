"""What the arithmetic in a bundle's configuration comes to, computed within bounds before anybody evaluates it."""

import ast
import operator
from collections.abc import Callable, Mapping
from typing import Any

LARGEST = 1e15
"""Of a number, either sign; sizes, spacings and intensities are far below."""
MOST_ELEMENTS = 100_000
"""In all lists together that the expressions of a configuration make."""

OPERATIONS: dict[type[ast.AST], Callable[..., Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
    ast.Not: operator.not_,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
CALLS: dict[str, Callable[..., Any]] = {
    one.__name__: one for one in (int, float, bool, list, tuple, len, max, min, sum, round, abs)
}
"""What expressions may call; str is none of them, as its text would be as long as all that it repeats."""
FAULTS = (TypeError, ValueError, IndexError, ZeroDivisionError, OverflowError, RecursionError)
"""What Python raises on arithmetic that has no result, or leads back to itself."""


class NotComputed(Exception):
    """What an expression comes to is not known here, or is beyond all bounds; the message says which."""


class Computer:
    """Computes expressions of one configuration. parsed: the tree of a text that is one, with its references as
    names, and what each of these names refers to."""

    def __init__(
        self,
        configuration: Mapping[str, Any],
        parsed: Callable[[str, tuple[str, ...]], tuple[ast.expr, Mapping[str, tuple[str, ...]]]],
    ) -> None:
        self._configuration, self._parsed = configuration, parsed
        self._known: dict[tuple[str, ...], Any] = {}
        self._elements = 0

    def of(self, place: tuple[str, ...]) -> Any:
        """The value at a place, given by its keys. Raises NotComputed."""
        if place not in self._known:
            found: Any = self._configuration
            for key in place:
                try:
                    found = found[int(key)] if isinstance(found, list) else found[key]
                except (*FAULTS, KeyError) as error:
                    raise NotComputed(f"there is no {'::'.join(place)}") from error
            try:
                self._known[place] = self._value(found, place)
            except FAULTS as error:
                raise NotComputed(str(error)) from error
        return self._known[place]

    def _value(self, written: Any, place: tuple[str, ...]) -> Any:
        if isinstance(written, list):
            return self._bounded([self.of((*place, str(number))) for number in range(len(written))])
        if isinstance(written, str) and written.startswith(("$", "@")):
            tree, names = self._parsed(written, place)
            return self._computed(tree, names)
        if isinstance(written, int | float):
            return written
        raise NotComputed(f"{'::'.join(place)} is no number")

    def _computed(self, node: ast.AST, names: Mapping[str, tuple[str, ...]]) -> Any:
        def inner(one: ast.AST) -> Any:
            return self._computed(one, names)

        match node:
            case ast.Constant(value=int() | float() as found):
                return self._bounded(found)
            case ast.Name(id=name) if name in names:
                return self.of(names[name])
            case ast.List(elts=elements) | ast.Tuple(elts=elements):
                return self._bounded([inner(one) for one in elements])
            case ast.IfExp(test=test, body=body, orelse=other):
                return inner(body) if inner(test) else inner(other)
            case ast.Subscript(value=value, slice=index):
                part = inner(value)[_slice_of(index, inner) if isinstance(index, ast.Slice) else inner(index)]
                return self._bounded(part) if isinstance(index, ast.Slice) else part
            case ast.Call(func=ast.Name(id=name), args=arguments) if name in CALLS:
                return self._bounded(CALLS[name](*_without_lists_of_lists([inner(one) for one in arguments])))
        return self._bounded(self._of_operation(node, inner))

    def _of_operation(self, node: ast.AST, inner: Callable[[ast.AST], Any]) -> Any:
        match node:
            case ast.UnaryOp(op=op, operand=operand):
                return OPERATIONS[type(op)](inner(operand))
            case ast.BinOp(left=left, op=op, right=right):
                return self._of_two(op, inner(left), inner(right))
            case ast.Compare(left=left, ops=[op], comparators=[right]):
                return OPERATIONS[type(op)](*_without_lists_of_lists([inner(left), inner(right)]))
        raise NotComputed(f"{ast.unparse(node)} is no number")

    def _of_two(self, operation: ast.operator, left: Any, right: Any) -> Any:
        if isinstance(operation, ast.Mult):
            for one, other in ((left, right), (right, left)):
                if isinstance(one, list | tuple) and len(one) * other > MOST_ELEMENTS:
                    raise NotComputed(f"a list of {len(one) * other:g} elements is too large")
        return OPERATIONS[type(operation)](left, right)

    def _bounded(self, found: Any) -> Any:
        if isinstance(found, list | tuple):
            self._elements += 1 + len(found)
            if self._elements > MOST_ELEMENTS:
                raise NotComputed(f"its lists have more than {MOST_ELEMENTS} elements together")
        elif not abs(found) <= LARGEST:
            raise NotComputed(f"the number {found:.3g} is too large")
        return found


def _slice_of(node: ast.Slice, inner: Callable[[ast.AST], Any]) -> slice:
    return slice(*(None if one is None else inner(one) for one in (node.lower, node.upper, node.step)))


def _without_lists_of_lists(values: list[Any]) -> list[Any]:
    """Comparing and adding up lists that hold each other many times takes for ever. Raises NotComputed."""
    for one in values:
        if isinstance(one, list | tuple) and any(isinstance(inner, list | tuple) for inner in one):
            raise NotComputed("a list of lists is no number")
    return values
