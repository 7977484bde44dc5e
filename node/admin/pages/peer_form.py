"""A peer as its form gives it: every key of its table, but those that name files with secrets."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import get_args

from pydantic import BaseModel

from node.admin.pages.editing import Lines, Long, Short, each_line
from node.editing import Value, Values
from node.settings import RENDITIONS, Peer

ROLES = ("source", "destination")
FURTHER_RENDITIONS = ("pdf", "ko", "rtstruct")


@dataclass(frozen=True)
class Key:
    """A key that most peers leave at its default. many: one value a line. choices: none where it is typed."""

    name: str
    words: str
    read: Callable[[str], Value]
    choices: tuple[str, ...] = ()
    many: bool = False

    @property
    def default(self) -> object:
        """What holds where the table does not name it."""
        return _plain(Peer.model_fields[self.name].default)

    def shown(self, peer: Peer | None) -> str:
        """As the form shows it."""
        value = self.default if peer is None else _plain(getattr(peer, self.name))
        if isinstance(value, bool):
            return YES if value else NO
        return "\n".join(value) if isinstance(value, list) else "" if value is None else str(value)

    def value(self, text: str) -> Value | None:
        """As the file has it: nothing where it is the default."""
        found = self.read(text.strip()) if text.strip() else None
        return None if found == self.default else found


def _plain(value: object) -> object:
    return [str(one) for one in value] if isinstance(value, tuple) else value


def _number(text: str) -> Value:
    """A number; what is none stays as it is, and the settings say so."""
    try:
        return int(text)
    except ValueError:
        try:
            return float(text)
        except ValueError:
            return text


YES, NO = "yes", "no"


def _answer(text: str) -> Value:
    return {YES: True, NO: False}.get(text, text)


def _choices(name: str) -> tuple[str, ...]:
    return get_args(Peer.model_fields[name].annotation)


REACHED = (Key("tls", "Called over TLS, with this node's certificate", _answer, (YES, NO)),)
"""How it is reached."""
PROFILE = (
    Key("sr", "Measurement report", str, _choices("sr")),
    Key("coordinates", "Detections in the report", str, _choices("coordinates")),
    Key("segmentation", "Segmentation", str, _choices("segmentation")),
    Key("largest_seg_mb", "Largest segmentation, MB", _number),
    Key("label", "What its series' names begin with", str),
    Key("series_base", "First series number", _number),
    Key("negatives", "Results where nothing was found", _answer, (YES, NO)),
    Key("failures", "A notice where nothing could be analysed", _answer, (YES, NO)),
    Key("rejections", "A rejection note for results that newer ones replace", _answer, (YES, NO)),
    Key("syntaxes", "Transfer syntaxes: explicit, implicit, deflated", each_line, many=True),
    Key("proof", "How arrival is proven", str, _choices("proof")),
)
"""How a destination gets its results."""
GATHERING = (
    Key("quiet_s", "Quiet time before a study is complete, s", _number),
    Key("cap_s", "At most so long after its last image, s", _number),
    Key("on_conflict", "Same UID with other bytes", str, _choices("on_conflict")),
    Key("query", "It may be asked by C-FIND", _answer, (YES, NO)),
    Key("commitment", "It may ask for storage commitment", _answer, (YES, NO)),
    Key("archive", "Archive that must hold what it sent", str),
    Key("study_days", "Its studies are kept for days", _number),
)
"""How its studies are taken."""
CALLER = (
    Key("addresses", "It calls from these addresses or networks only", each_line, many=True),
    Key("certificate", "Its certificate's subject has all of these", each_line, many=True),
    Key("user", "It sends this user name", str),
)
"""Who it must be."""
FURTHER = (*REACHED, *PROFILE, *GATHERING, *CALLER)


class PeerForm(BaseModel):
    """A peer as its form gives it. of: the peer that is edited; empty: a new one, which has a name. seen:
    the mark of what it was when the form was made."""

    of: Short = ""
    seen: Short = ""
    name: Short = ""
    ae_title: Short
    address: Long = ""
    port: Short = ""
    url: Long = ""
    kind: Short = "pacs"
    roles: list[Short] = []
    renditions: list[Short] = []
    sr: Short = ""
    coordinates: Short = ""
    segmentation: Short = ""
    largest_seg_mb: Short = ""
    label: Short = ""
    series_base: Short = ""
    negatives: Short = ""
    failures: Short = ""
    rejections: Short = ""
    syntaxes: Lines = ""
    tls: Short = ""
    proof: Short = ""
    quiet_s: Short = ""
    cap_s: Short = ""
    on_conflict: Short = ""
    query: Short = ""
    commitment: Short = ""
    archive: Short = ""
    study_days: Short = ""
    addresses: Lines = ""
    certificate: Lines = ""
    user: Long = ""

    def values(self) -> Values:
        """As the keys of a peer; what is as usual is left out, and a source gets no results, so that renditions say
        nothing of it. Keys that this form does not know are not touched."""
        is_usual = "destination" not in self.roles or set(self.renditions) == set(RENDITIONS)
        port = self.port.strip()
        found: Values = {
            "ae_title": self.ae_title,
            "address": self.address.strip() or None,
            "port": _number(port) if port else None,
            "url": self.url.strip() or None,
            "kind": self.kind,
            "roles": self.roles,
            "renditions": None if is_usual else self.renditions,
            **{key.name: key.value(getattr(self, key.name)) for key in FURTHER},
        }
        return found if self.of else {"name": self.name, **found}
