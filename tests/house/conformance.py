"""Writes the tables of docs/conformance.md that are read off the code: python -m tests.house.conformance."""

from pathlib import Path

from pydicom.uid import UID
from pynetdicom import AllStoragePresentationContexts

from node.core.commitment import FAILURES, NOT_NAMED, OF_THE_VENDOR, Remedy
from node.intake.negotiation import RETIRED_STORAGE_CLASSES, STORAGE_CLASSES, TRANSFER_SYNTAXES
from node.results.carried import SHARED
from node.results.stamp import SERIES_WORDS
from node.sending.proposal import ASKED

PAGE = Path(__file__).parents[2] / "docs" / "conformance.md"
NAMES = {one.uid: one.name for one in ASKED}


def sent() -> str:
    """SOP classes the node stores elsewhere."""
    rows = [f"| {one.name} | {one.uid} | {one.use} |" for one in ASKED if one.use]
    return "\n".join(["| SOP class | UID | of |", "|---|---|---|", *rows])


def received() -> str:
    """Storage SOP classes the node takes."""
    known = {str(one.abstract_syntax) for one in AllStoragePresentationContexts}
    rows = [f"| {NAMES.get(uid) or UID(uid).name} | {uid} |" for uid in sorted(STORAGE_CLASSES & known)]
    rows += [f"| {UID(uid).name} (retired) | {uid} |" for uid in sorted(RETIRED_STORAGE_CLASSES)]
    return "\n".join(["| SOP class | UID |", "|---|---|", *rows])


def syntaxes() -> str:
    rows = [f"| {UID(uid).name} | {uid} |" for uid in sorted(map(str, TRANSFER_SYNTAXES))]
    return "\n".join(["| transfer syntax | UID |", "|---|---|", *rows])


def series() -> str:
    rows = [f"| base + {place} | AI MODEL {words} |" for place, words in enumerate(SERIES_WORDS.values())]
    return "\n".join(["| Series Number | Series Description |", "|---|---|", *rows])


def carried() -> str:
    rows = [f"| {module} | {', '.join(keywords)} |" for module, keywords in SHARED.items()]
    return "\n".join(["| module | attributes |", "|---|---|", *rows])


def commitment() -> str:
    """Failure Reasons of storage commitment, and what follows."""
    follows = {
        Remedy.ASK: "it is asked again",
        Remedy.SEND: "those are sent once more, then a person is asked",
        Remedy.PERSON: "a person is asked",
    }
    reasons = [(f"{reason:04X}", failure) for reason, failure in FAILURES.items()]
    named = [*reasons, ("any other", OF_THE_VENDOR), ("none, not named", NOT_NAMED)]
    rows = [f"| {reason} | {failure.words} | {follows[failure.remedy]} |" for reason, failure in named]
    return "\n".join(["| Failure Reason | taken as | what follows |", "|---|---|---|", *rows])


PARTS = {
    "commitment": commitment,
    "sent": sent,
    "received": received,
    "syntaxes": syntaxes,
    "series": series,
    "carried": carried,
}


def with_parts(page: str) -> str:
    """The page with every generated part as the code has it now."""
    for name, part in PARTS.items():
        begin, end = f"<!-- {name} -->\n", f"\n<!-- end of {name} -->"
        head, _, rest = page.partition(begin)
        page = head + begin + part() + end + rest.partition(end)[2]
    return page


if __name__ == "__main__":
    PAGE.write_text(with_parts(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
