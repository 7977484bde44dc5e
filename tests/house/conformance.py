"""Writes the tables of docs/conformance.md that are read off the code: python -m tests.house.conformance."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Protocol

from pydantic import BaseModel
from pydicom.sr.coding import Code as DicomCode
from pydicom.uid import UID
from pynetdicom import AllStoragePresentationContexts

from ai.contract import Code
from ai.registry import SHIPPED, find_model
from node.core.commitment import FAILURES, NOT_NAMED, OF_THE_VENDOR, Remedy
from node.intake.desk import Limits
from node.intake.negotiation import RETIRED_STORAGE_CLASSES, STORAGE_CLASSES, TRANSFER_SYNTAXES
from node.intake.status import PROCESSING_FAILURE, STATUS
from node.results.carried import SHARED
from node.results.coding import codes_of
from node.results.stamp import SERIES_CODES, SERIES_WORDS
from node.sending.destination import Destination, SendOutcome
from node.sending.outcome import STATUS_TABLE, Answer
from node.sending.pdu import (
    APPLICATION_CONTEXT,
    IMPLEMENTATION_CLASS_UID,
    IMPLEMENTATION_VERSION_NAME,
    OUR_MAXIMUM_LENGTH,
)
from node.sending.proposal import ASKED
from node.sending.web_outcome import HTTP_TABLE
from node.settings import NodeSettings, Peer

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


def answered() -> str:
    """Statuses of C-STORE that the node gives; several errors may have one."""
    rows = [("0000", "the instance is durable")]
    rows += sorted((f"{status:04X}", comment) for status, comment in STATUS.values())
    rows.append((f"{PROCESSING_FAILURE:04X}", "Fault of this node: see its log; send again later"))
    return _table(("status", "Error Comment"), rows)


def answers() -> str:
    """Statuses of C-STORE that the node is given."""
    return _table(("status", "the delivery"), _ranges(STATUS_TABLE, "04X"))


def http_answers() -> str:
    """HTTP statuses that the node is given."""
    return _table(("HTTP status", "the delivery"), _ranges(HTTP_TABLE, "d"))


def parameters() -> str:
    """Keys of node.toml, and what holds where they are not set."""
    tables = NodeSettings()
    rows = [
        (f"`{name}.{key}`", value)
        for name in NodeSettings.model_fields
        for key, value in _defaults(type(getattr(tables, name)))
    ]
    return _table(("key", "unless set"), rows)


def peer() -> str:
    """Keys of a peer, and what holds where they are not set."""
    return _table(("key", "unless set"), [(f"`{key}`", value) for key, value in _defaults(Peer)])


def association() -> str:
    """What every association has in common."""
    limits, waits = Limits(), Destination("", "", "", 0, "")

    def seconds(what: str, acceptor_s: float, initiator_s: float) -> tuple[str, str, str]:
        return f"waits {what}, s", f"{acceptor_s:g}", f"{initiator_s:g}"

    return _table(
        ("", "acceptor", "initiator"),
        [
            ("Application Context Name", APPLICATION_CONTEXT, APPLICATION_CONTEXT),
            ("Implementation Class UID", IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_CLASS_UID),
            ("Implementation Version Name", IMPLEMENTATION_VERSION_NAME, IMPLEMENTATION_VERSION_NAME),
            ("Maximum Length Received, bytes", str(limits.max_pdu_bytes), str(OUR_MAXIMUM_LENGTH)),
            seconds("for association request or answer", limits.request_timeout_s, waits.association_timeout_s),
            seconds("for the next request or response", limits.idle_timeout_s, waits.response_timeout_s),
            seconds("within a PDU", limits.pdu_deadline_s, waits.stall_timeout_s),
        ],
    )


def series_codes() -> str:
    """Codes of Series Description Code Sequence."""
    return _table(("series", "code"), [(SERIES_WORDS[kind], _code(code)) for kind, code in SERIES_CODES.items()])


def model_codes() -> str:
    """Codes of the cards that come with the product."""
    rows = []
    for name in sorted(one.parent.name for one in SHIPPED.glob("*/card.toml")):
        card = find_model(name.replace("_", "-")).card
        rows.append((card.name, "; ".join(sorted({_code(one) for one in codes_of(card)}))))
    return _table(("model", "codes"), rows)


def _code(code: Code | DicomCode) -> str:
    scheme = code.scheme if isinstance(code, Code) else code.scheme_designator
    return f"({code.value}, {scheme}, {code.meaning})"


class Row(Protocol):
    """A range of answers that mean the same."""

    @property
    def first(self) -> int: ...
    @property
    def last(self) -> int: ...
    @property
    def answer(self) -> Answer: ...


DELIVERY = {
    SendOutcome.ACCEPTED: "accepted",
    SendOutcome.LATER: "tried again",
    SendOutcome.PARKED: "waits for a person",
}


def _ranges(table: Iterable[Row], spelling: str) -> list[tuple[str, str]]:
    """Neighbours that lead to the same are one row."""
    runs: list[tuple[int, int, SendOutcome]] = []
    for row in table:
        outcome = row.answer.outcome
        if runs and runs[-1][2] is outcome:
            runs[-1] = (runs[-1][0], row.last, outcome)
        else:
            runs.append((row.first, row.last, outcome))
    return [
        (format(first, spelling) + (f" to {format(last, spelling)}" if last != first else ""), DELIVERY[outcome])
        for first, last, outcome in runs
    ]


def _defaults(table: type[BaseModel]) -> list[tuple[str, str]]:
    return [
        (field.alias or key, "required" if field.is_required() else _value(field.default))
        for key, field in table.model_fields.items()
    ]


def _value(value: object) -> str:
    if value is None or value in ("", ()):
        return "none"
    return f"`{json.dumps(value, default=str)}`"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])


PARTS = {
    "answered": answered,
    "answers": answers,
    "http_answers": http_answers,
    "parameters": parameters,
    "peer": peer,
    "association": association,
    "series_codes": series_codes,
    "model_codes": model_codes,
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
