"""Compares the codes of a model's card with the standard's own: the same code with another meaning is a slip."""

from collections.abc import Mapping

from pydicom.sr.codedict import codes

from ai.contract import Code, ModelCard
from node.results.coding import codes_of

PRIVATE_PREFIX = "99"


def doubtful_codes(card: ModelCard) -> list[str]:
    """A sentence for each code whose meaning differs from the one in pydicom's dictionary, or whose scheme is unknown.

    A code that the dictionary does not hold is not doubted: it has only those that the standard itself uses.
    """
    known = {scheme: _meanings(scheme) for scheme in codes.schemes()}
    return [words for code in dict.fromkeys(codes_of(card)) if (words := _doubt(code, known))]


def _doubt(code: Code, known: Mapping[str, Mapping[str, set[str]]]) -> str | None:
    if code.scheme.startswith(PRIVATE_PREFIX):
        return None
    if code.scheme not in known:
        return f"{code}: {code.scheme!r} is no scheme of the standard; a private one must begin with {PRIVATE_PREFIX}"
    meanings = known[code.scheme].get(code.value)
    if meanings is None or _plain(code.meaning) in {_plain(one) for one in meanings}:
        return None
    return f"{code}: the standard's meaning of ({code.value}, {code.scheme}) is {' or '.join(sorted(meanings))!r}"


def _meanings(scheme: str) -> dict[str, set[str]]:
    """Meanings by code: the standard names some concepts more than once."""
    found: dict[str, set[str]] = {}
    collection = getattr(codes, scheme)
    for keyword in collection.dir():
        try:
            one = getattr(collection, keyword)
        except RuntimeError:  # the keyword stands for several codes of one scheme
            continue
        found.setdefault(one.value, set()).add(one.meaning)
    return found


def _plain(text: str) -> str:
    return " ".join(text.casefold().split())
