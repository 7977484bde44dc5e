"""Which of two forms of a run goes to a destination: the one it takes, and never both."""

from collections.abc import Collection
from dataclasses import dataclass

from node.core.identity import ClassUID

LABEL_MAP = ClassUID("1.2.840.10008.5.1.4.1.1.66.7")
"""Label Map Segmentation Storage: of 2024, and refused by many archives, which then get a run with a binary one."""


@dataclass(frozen=True)
class Forms:
    """Kinds of results, as the ledger calls them, that a destination gets.

    instead: the same in the form for a destination that refuses the first; empty where there is no such choice.
    """

    first: frozenset[str]
    instead: frozenset[str] = frozenset()


def form_to_send(
    forms: Forms, *, encoded: Collection[str], begun: Collection[str], is_first_refused: bool
) -> frozenset[str] | None:
    """The kinds to send, or None where they must be encoded first.

    encoded: kinds there are of the run. begun: kinds of objects that the destination has already taken: what was begun
    in one form is never gone on with in the other. is_first_refused: whether it is known to refuse the first form.
    """
    shared, there = forms.first & forms.instead, set(encoded)
    first, instead = forms.first - shared, forms.instead - shared
    if first & set(begun):
        return forms.first
    if instead & set(begun):
        return forms.instead
    if is_first_refused and instead:
        # Kinds of both correspond: where there are fewer, only other destinations' kinds were encoded in that form.
        return None if len(first & there) > len(instead & there) else forms.instead
    return forms.instead if instead & there and not first & there else forms.first
