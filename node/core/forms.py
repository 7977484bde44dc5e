"""Which of two forms of a run goes to a destination: the one it takes, and never both."""

from collections.abc import Collection
from dataclasses import dataclass

from node.core.identity import ClassUID

LABEL_MAP = ClassUID("1.2.840.10008.5.1.4.1.1.66.7")
"""Label Map Segmentation Storage: of 2024, and refused by many archives, which then get a run with a binary one."""


REJECTION = "rejection"


def rejection_kind(destination: str) -> str:
    """How the ledger calls a run's note on what it replaced at one destination: each may hold something else."""
    return f"{REJECTION}:{destination}"


def rendition_of(kind: str) -> str:
    """Of a kind of result as the ledger calls it: what it is, whatever form it is in and whoever it is for."""
    return kind.partition("@")[0].partition(":")[0]


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
    in one form is never gone on with in another, also where what the destination gets was changed meanwhile.
    is_first_refused: whether it is known to refuse the first form.
    """
    if begun and not set(begun) & (forms.first | forms.instead):
        return _gone_on_with(forms, encoded, begun)
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


def _gone_on_with(forms: Forms, encoded: Collection[str], begun: Collection[str]) -> frozenset[str]:
    """Of the set that was begun, the renditions that the destination still gets."""
    wanted = {rendition_of(one) for one in forms.first}
    profiles = {one.partition("@")[2] for one in begun}
    theirs = {kind for kind in encoded if rendition_of(kind) in wanted and kind.partition("@")[2] in profiles}
    return frozenset(theirs | {kind for kind in forms.first if rendition_of(kind) == REJECTION})
