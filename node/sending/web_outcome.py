"""What every answer of a DICOMweb server means for a delivery, in literal tables that leave no answer out.

As with C-STORE: what stops the exchange or will pass is LATER; what would be answered again is PARKED, with what to
change on which side. In the words, {d} is the Destination.
"""

from dataclasses import dataclass
from enum import Enum

from node.sending.destination import SendOutcome
from node.sending.outcome import Answer, of_status

ACCEPTED, LATER, PARKED = SendOutcome.ACCEPTED, SendOutcome.LATER, SendOutcome.PARKED


@dataclass(frozen=True)
class HttpRow:
    """A range of HTTP status codes, both ends included, that mean the same.

    ends: it is about the server, the way there or our credentials, so that every other object would be answered alike.
    tells: its payload may say of the object what the code does not.
    """

    first: int
    last: int
    answer: Answer
    ends: bool = False
    tells: bool = False


_STORED = Answer(ACCEPTED, "Stored by {d.name}.")
_NOT_HTTP = Answer(LATER, "What {d.name} answered is no final HTTP status: check its url here.")
_REFUSED = Answer(
    PARKED,
    "{d.name} refuses the request (HTTP 4xx): look into the log there, or take the rendition out of this destination's "
    "list here.",
)
_FAILED = Answer(LATER, "{d.name} failed (HTTP 5xx). It is tried again; if it stays, look into the log there.")

HTTP_TABLE: tuple[HttpRow, ...] = (
    HttpRow(100, 199, _NOT_HTTP, ends=True),
    HttpRow(200, 201, _STORED, tells=True),
    HttpRow(202, 202, Answer(ACCEPTED, "Stored by {d.name}, with warnings."), tells=True),
    HttpRow(203, 299, _STORED, tells=True),
    HttpRow(
        300,
        399,
        Answer(PARKED, "{d.name} says that its services are elsewhere (HTTP 3xx): correct its url here."),
        ends=True,
    ),
    HttpRow(400, 400, _REFUSED),
    HttpRow(
        401,
        401,
        Answer(
            LATER,  # a token is renewed, or what knows our user comes up again: no object has to do with it
            "{d.name} does not know who we are. It is tried again; if it stays, correct web_user and the secret here.",
            is_away=True,
        ),
        ends=True,
    ),
    HttpRow(402, 402, _REFUSED),
    HttpRow(
        403, 403, Answer(PARKED, "{d.name} does not allow us to do this: give our user the right to store there."), True
    ),
    HttpRow(404, 405, Answer(PARKED, "{d.name} has no such DICOMweb service at that url: correct it here."), ends=True),
    HttpRow(406, 406, _REFUSED),
    HttpRow(407, 407, Answer(PARKED, "A proxy before {d.name} wants credentials: let this node past it."), ends=True),
    HttpRow(408, 408, Answer(LATER, "{d.name} waited too long for us. It is tried again.")),
    HttpRow(
        409,
        409,
        Answer(
            PARKED,
            "{d.name} reports a conflict, and not which: look there whether it has the object, then resend or drop the "
            "delivery.",
        ),
        tells=True,
    ),
    HttpRow(410, 412, _REFUSED),
    HttpRow(
        413,
        413,
        Answer(PARKED, "{d.name} finds the object too large: raise its web server's limit there."),
    ),
    HttpRow(414, 414, _REFUSED),
    HttpRow(
        415,
        415,
        Answer(
            PARKED,
            "{d.name} does not store this kind of object or its transfer syntax: enable it there, or take the "
            "rendition out of this destination's list here.",
        ),
    ),
    HttpRow(416, 420, _REFUSED),
    HttpRow(421, 421, Answer(LATER, "{d.name} is not the server of that url. It is tried again."), ends=True),
    HttpRow(422, 422, _REFUSED),
    HttpRow(423, 423, Answer(LATER, "{d.name} has locked the study. It is tried again.")),
    HttpRow(424, 424, _REFUSED),
    HttpRow(425, 425, Answer(LATER, "{d.name} wants the request later. It is tried again.")),
    HttpRow(426, 428, _REFUSED),
    HttpRow(429, 429, Answer(LATER, "{d.name} gets too many requests. The rest goes later."), ends=True),
    HttpRow(430, 499, _REFUSED),
    HttpRow(500, 500, _FAILED),
    HttpRow(501, 501, Answer(PARKED, "{d.name} does not know STOW-RS: correct its url, or enable it there."), True),
    HttpRow(
        502,
        504,
        Answer(LATER, "{d.name} is not to be had behind its gateway. It is tried again.", is_away=True),
        ends=True,
    ),
    HttpRow(505, 506, Answer(PARKED, "{d.name} does not speak HTTP/1.1: correct its url here."), ends=True),
    HttpRow(507, 507, Answer(LATER, "{d.name} is out of space. It is tried again; free some there."), True),
    HttpRow(508, 510, _FAILED),
    HttpRow(511, 511, Answer(PARKED, "The network before {d.name} wants a login: let this node past it."), ends=True),
    HttpRow(512, 599, _FAILED),
    HttpRow(600, 999, _NOT_HTTP, ends=True),
)
"""Answers to STOW-RS (PS3.18 table 10.5.3-1; others by their class, RFC 9110 section 15), in order without a gap."""


def of_http(status: int) -> HttpRow:
    """What an HTTP status means, before its payload is read; HTTP/1.1 has three digits."""
    return next((row for row in HTTP_TABLE if row.first <= status <= row.last), HTTP_TABLE[0])


class Word(str, Enum):
    """What a payload says of one object."""

    NOTHING = "nothing"
    """There is no payload, or the object is not in it."""
    STORED = "stored"
    FAILED = "failed"
    UNREADABLE = "unreadable"
    """There is one, but not in DICOM's JSON model, which was asked for."""


@dataclass(frozen=True)
class Told:
    """What a payload says of one object. reason: Failure or Warning Reason (0008,1197), (0008,1196)."""

    word: Word
    reason: int | None = None


ALREADY_THERE = frozenset({0x0111, 0xB00E})
"""Failure reasons: duplicate SOP instance (PS3.7 annex C), and what Azure's DICOM service says of the same."""

_WARNED = Answer(ACCEPTED, "Stored by {d.name}, with a warning.")
_UNEXPLAINED = Answer(
    PARKED, "{d.name} did not store the object and gave no reason: look into the log there, then resend."
)
_UNREADABLE = Answer(
    PARKED,
    "{d.name} answered in words that are not DICOM's: look there whether the object arrived, and check its url here.",
)
_ALREADY_THERE = Answer(ACCEPTED, "{d.name} already has this object.")


def of_store(status: int, told: Told) -> Answer:
    """What the answer to one object means: the status, corrected by what the payload says of the object."""
    row = of_http(status)
    if not row.tells:
        return row.answer
    if told.word is Word.FAILED:
        return _of_failure(told.reason)
    if told.word is Word.UNREADABLE:
        return row.answer if row.answer.outcome is PARKED else _UNREADABLE
    if told.word is Word.STORED and told.reason:
        answer = of_status(told.reason)
        return answer if answer.outcome is ACCEPTED else _WARNED
    return _STORED if told.word is Word.STORED and row.answer.outcome is PARKED else row.answer


def _of_failure(reason: int | None) -> Answer:
    if reason in ALREADY_THERE:
        return _ALREADY_THERE
    if reason is None or not 0 <= reason <= 0xFFFF or of_status(reason).outcome is ACCEPTED:
        return _UNEXPLAINED
    return of_status(reason)


class Breakdown(str, Enum):
    """How an exchange ends without an HTTP answer."""

    HOST_UNKNOWN = "host-unknown"
    UNREACHABLE = "unreachable"
    CONNECT_TIMEOUT = "connect-timeout"
    TLS = "tls"
    STALLED = "stalled"
    NO_ANSWER = "no-answer"
    CLOSED = "closed"
    NOT_HTTP = "not-http"
    TOO_LARGE = "too-large"
    OWN_FILE = "own-file"
    OWN_SECRET = "own-secret"  # noqa: S105  a word, not a secret


BREAKDOWNS: dict[Breakdown, Answer] = {
    Breakdown.HOST_UNKNOWN: Answer(
        LATER,
        "The host of {d.web.url} is not known: correct the url of {d.name} here, or mend the name service.",
        is_away=True,
    ),
    Breakdown.UNREACHABLE: Answer(
        LATER,
        "Nothing answers at {d.web.url}: start {d.name}, correct its url here, or mend the network between.",
        is_away=True,
    ),
    Breakdown.CONNECT_TIMEOUT: Answer(
        LATER,
        "{d.web.url} did not answer within {d.connect_timeout_s:g} s: check that {d.name} runs, its url here, and the "
        "firewalls between.",
        is_away=True,
    ),
    Breakdown.TLS: Answer(
        LATER,
        "TLS with {d.name} failed: its certificate must be in date, carry the name in {d.web.url}, and be issued by an "
        "authority in web_authorities (without that: one the operating system trusts).",
        is_away=True,
    ),
    Breakdown.STALLED: Answer(
        LATER,
        "{d.name} read nothing for {d.stall_timeout_s:g} s, or far too slowly. It is tried again; if it stays, look "
        "into its log, and at the network between.",
    ),
    Breakdown.NO_ANSWER: Answer(
        LATER, "{d.name} took the request but did not answer it within {d.response_timeout_s:g} s. It is tried again."
    ),
    Breakdown.CLOSED: Answer(
        LATER, "{d.name} closed the connection without an answer. It is tried again; if it stays, look into its log."
    ),
    Breakdown.NOT_HTTP: Answer(LATER, "What {d.name} answered is not HTTP: check that {d.web.url} is its DICOMweb."),
    Breakdown.TOO_LARGE: Answer(LATER, "{d.name} answered with far more than there is to say: check its url here."),
    Breakdown.OWN_FILE: Answer(
        LATER, "A file of this node could not be read to its end while sending to {d.name}: check this node's disk."
    ),
    Breakdown.OWN_SECRET: Answer(
        LATER, "The secret for {d.name} cannot be read: check web_secret_file or web_secret_env here."
    ),
}
"""Failures that carry no HTTP answer; all are later, since the peer never judged the object."""
