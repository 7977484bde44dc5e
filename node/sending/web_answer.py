"""Reads DICOM's JSON model (PS3.18 annex F) in answers of servers that may be anything: what does not fit is absent."""

import json
from collections.abc import Iterator

from node.sending.web import Reply
from node.sending.web_outcome import Told, Word

JSON_TYPES = frozenset({"application/dicom+json", "application/json"})
FAILED_SOP_SEQUENCE, REFERENCED_SOP_SEQUENCE, OTHER_FAILURES_SEQUENCE = "00081198", "00081199", "0008119A"
FAILURE_REASON, WARNING_REASON = "00081197", "00081196"
REFERENCED_SOP_INSTANCE_UID = "00081155"

Item = dict[str, object]


class NotJsonModel(ValueError):
    """The payload is not in DICOM's JSON model."""


def read_items(reply: Reply) -> list[Item]:
    """The data sets of a payload; none where it is empty. Raises NotJsonModel."""
    if not reply.payload.strip():
        return []
    if reply.media_type not in JSON_TYPES:
        raise NotJsonModel(reply.media_type)
    try:
        found = json.loads(reply.payload)
    except (ValueError, RecursionError) as error:
        raise NotJsonModel("not JSON") from error
    items = found if isinstance(found, list) else [found]
    if not all(isinstance(one, dict) for one in items):
        raise NotJsonModel("no data sets")
    return items


def text(item: Item, tag: str) -> str:
    """The first value of an element as text, a name in its alphabetic form; empty where it has none."""
    values = (one.get("Alphabetic") if isinstance(one, dict) else one for one in _values(item, tag))
    return next((str(one).strip() for one in values if isinstance(one, str | int | float)), "")


def number(item: Item, tag: str) -> int | None:
    """The first value of an element as a whole number."""
    value = text(item, tag)
    return int(value) if value.isascii() and value.isdigit() and len(value) <= 9 else None


def read_store_answer(reply: Reply, sop_instance_uid: str) -> Told:
    """What the Store Instances Response (PS3.18 table I.1-1) says of the one object that was sent."""
    try:
        items = read_items(reply)
    except NotJsonModel:
        return Told(Word.UNREADABLE)
    for word, sequence, reason in (
        (Word.FAILED, FAILED_SOP_SEQUENCE, FAILURE_REASON),
        (Word.FAILED, OTHER_FAILURES_SEQUENCE, FAILURE_REASON),
        (Word.STORED, REFERENCED_SOP_SEQUENCE, WARNING_REASON),
    ):
        for item in items:
            for one in _sequence(item, sequence):
                if text(one, REFERENCED_SOP_INSTANCE_UID) in ("", sop_instance_uid):
                    return Told(word, number(one, reason))
    return Told(Word.NOTHING)


def _sequence(item: Item, tag: str) -> Iterator[Item]:
    return (one for one in _values(item, tag) if isinstance(one, dict))


def _values(item: Item, tag: str) -> list[object]:
    element = item.get(tag)
    values = element.get("Value") if isinstance(element, dict) else None
    return values if isinstance(values, list) else []
