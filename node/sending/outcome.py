"""What every answer of a peer means for a delivery, in literal tables that leave no answer out.

What stops the link is LATER; what the peer answers for good is PARKED, with what to change on which side.
In the words, {d} is the Destination.
"""

from dataclasses import dataclass
from enum import Enum

from node.errors import IsocenterError
from node.sending.destination import Destination, SendOutcome

ACCEPTED, LATER, PARKED = SendOutcome.ACCEPTED, SendOutcome.LATER, SendOutcome.PARKED


@dataclass(frozen=True)
class Answer:
    """What happens to the delivery, and the words for a person. is_away: nobody was reached, whatever was sent."""

    outcome: SendOutcome
    words: str
    is_away: bool = False

    def text(self, destination: Destination) -> str:
        return self.words.format(d=destination)


class NotReached(IsocenterError):
    """The peer could not be asked, or its answer is lost; `answer` says what that means for what was to be sent.

    pause_s: so long it asked to be left alone.
    """

    def __init__(self, destination: Destination, answer: Answer, pause_s: float = 0) -> None:
        super().__init__(answer.text(destination))
        self.answer, self.pause_s = answer, pause_s


@dataclass(frozen=True)
class StatusRow:
    """A range of C-STORE status codes, both ends included, that mean the same."""

    first: int
    last: int
    answer: Answer


# A status that DICOM does not define for storage is a definite answer without a promise: the same bytes would get it
# again, so trying for days helps nobody, and calling it success could lose the object. A person looks.
_UNKNOWN = Answer(
    PARKED,
    "{d.name} answered with a status that DICOM does not define for storage: look there whether the object arrived, "
    "then resend or drop the delivery.",
)
_UNKNOWN_WARNING = Answer(
    PARKED,
    "{d.name} answered with a warning that DICOM does not define for storage: look there whether the object arrived, "
    "then resend or drop the delivery.",
)
_CLASS_REFUSED = Answer(
    PARKED,
    "{d.name} does not store this kind of object: enable its SOP class there, or take the rendition out of this "
    "destination's list here.",
)

STATUS_TABLE: tuple[StatusRow, ...] = (
    StatusRow(0x0000, 0x0000, Answer(ACCEPTED, "Stored by {d.name}.")),
    StatusRow(0x0001, 0x010F, _UNKNOWN),
    StatusRow(
        0x0110,
        0x0110,
        Answer(LATER, "{d.name} failed while storing. It is tried again; if it stays, look into the log there."),
    ),
    StatusRow(0x0111, 0x0111, Answer(ACCEPTED, "{d.name} already has this object.")),
    StatusRow(0x0112, 0x0116, _UNKNOWN),
    StatusRow(
        0x0117,
        0x0117,
        Answer(PARKED, "{d.name} takes the SOP Instance UID for invalid: ask its vendor which UIDs it refuses."),
    ),
    StatusRow(0x0118, 0x0118, _CLASS_REFUSED),
    StatusRow(0x0119, 0x0121, _UNKNOWN),
    StatusRow(0x0122, 0x0122, _CLASS_REFUSED),
    StatusRow(0x0123, 0x0123, _UNKNOWN),
    StatusRow(
        0x0124,
        0x0124,
        Answer(PARKED, "{d.name} does not allow {d.our_ae_title} to store: give it the right to store there."),
    ),
    StatusRow(0x0125, 0x020F, _UNKNOWN),
    StatusRow(
        0x0210,
        0x0210,
        Answer(LATER, "{d.name} took our message for a repeated one. It is tried again on a new association."),
    ),
    StatusRow(
        0x0211,
        0x0211,
        Answer(PARKED, "{d.name} does not know C-STORE at {d.host}:{d.port}: correct the address of its storage here."),
    ),
    StatusRow(
        0x0212,
        0x0212,
        Answer(PARKED, "{d.name} takes our request for malformed: report it with this node's version to both vendors."),
    ),
    StatusRow(
        0x0213,
        0x0213,
        Answer(LATER, "{d.name} is short of resources. It is tried again; if it stays, free some there."),
    ),
    StatusRow(0x0214, 0xA6FF, _UNKNOWN),
    StatusRow(
        0xA700,
        0xA7FF,
        Answer(LATER, "{d.name} is out of resources. It is tried again; if it stays, free space there."),
    ),
    StatusRow(0xA800, 0xA8FF, _UNKNOWN),
    StatusRow(
        0xA900,
        0xA9FF,
        Answer(
            PARKED,
            "{d.name} finds that the object does not match its SOP class: ask its vendor which check failed, or take "
            "the rendition out of this destination's list here.",
        ),
    ),
    StatusRow(0xAA00, 0xAFFF, _UNKNOWN),
    StatusRow(0xB000, 0xB000, Answer(ACCEPTED, "Stored by {d.name}, which changed elements of it.")),
    StatusRow(0xB001, 0xB005, _UNKNOWN_WARNING),
    StatusRow(0xB006, 0xB006, Answer(ACCEPTED, "Stored by {d.name}, which discarded elements of it.")),
    StatusRow(
        0xB007,
        0xB007,
        Answer(ACCEPTED, "Stored by {d.name}, which finds that it does not match its SOP class."),
    ),
    StatusRow(0xB008, 0xBFFF, _UNKNOWN_WARNING),
    StatusRow(
        0xC000,
        0xCFFF,
        Answer(
            PARKED,
            "{d.name} cannot understand the object: look into the log there, or take the rendition out of this "
            "destination's list here.",
        ),
    ),
    StatusRow(0xD000, 0xFDFF, _UNKNOWN),
    StatusRow(0xFE00, 0xFE00, Answer(LATER, "{d.name} cancelled while storing. It is tried again.")),
    StatusRow(0xFE01, 0xFEFF, _UNKNOWN),
    StatusRow(0xFF00, 0xFF01, Answer(LATER, "{d.name} answered that it is not done yet. It is tried again.")),
    StatusRow(0xFF02, 0xFFFF, _UNKNOWN),
)
"""C-STORE responses (PS3.4 Table B.2-1; PS3.7 section 9.1.1.1.9 and annex C), in order and without a gap."""

NO_STATUS = Answer(LATER, "{d.name} answered without a status, so nobody knows. The same object is sent again.")


def of_status(status: int | None) -> Answer:
    """What the status of a C-STORE response means; None where the response carries none."""
    if status is None:
        return NO_STATUS
    return next(row.answer for row in STATUS_TABLE if row.first <= status <= row.last)


REJECTION_OUTCOME: dict[int, SendOutcome] = {1: PARKED, 2: LATER}
"""Result of an A-ASSOCIATE-RJ: permanent, transient (PS3.8 Table 9-21)."""

_REFUSED_UNEXPLAINED = (
    "{d.name} refused the association without a reason: look into its log, and whether it knows our AE title "
    "{d.our_ae_title} with this node's address."
)
REJECTION_WORDS: dict[tuple[int, int], str] = {
    (1, 1): _REFUSED_UNEXPLAINED,
    (1, 2): "{d.name} does not speak DICOM's application context: check that {d.host}:{d.port} is its DICOM port.",
    (1, 3): "{d.name} does not know our AE title {d.our_ae_title}: add it there, with this node's address.",
    (1, 7): "{d.name} is not called {d.ae_title}: correct its AE title here, or add that title there.",
    (2, 1): _REFUSED_UNEXPLAINED,
    (2, 2): "{d.name} speaks another version of the DICOM protocol: check that {d.host}:{d.port} is its DICOM port.",
    (3, 1): "{d.name} is congested for the moment. If it stays, look into its load there.",
    (3, 2): "{d.name} has no association left to give. If it stays, raise its limit of associations there.",
}
"""(source, reason) of an A-ASSOCIATE-RJ (PS3.8 Table 9-21); all others are reserved."""
REJECTION_RESERVED = (
    "{d.name} refused the association for a reason that DICOM does not define: look into its log, and whether it "
    "knows our AE title {d.our_ae_title} with this node's address."
)


def of_rejection(result: int, source: int, reason: int) -> Answer:
    """What an A-ASSOCIATE-RJ means; a result that DICOM does not define counts as permanent."""
    return Answer(REJECTION_OUTCOME.get(result, PARKED), REJECTION_WORDS.get((source, reason), REJECTION_RESERVED))


_BY_PROVIDER = "{d.name} broke the association off: "
ABORT_BY_USER = "{d.name} broke the association off. It is tried again; if it stays, look into its log."
ABORT_REASONS: dict[int, str] = {
    0: _BY_PROVIDER + "no reason given. It is tried again; if it stays, look into its log.",
    1: _BY_PROVIDER + "it did not recognise a PDU. If it stays, report it to both vendors.",
    2: _BY_PROVIDER + "it did not expect a PDU. If it stays, report it to both vendors.",
    4: _BY_PROVIDER + "it did not recognise a parameter of a PDU. If it stays, report it to both vendors.",
    5: _BY_PROVIDER + "it did not expect a parameter of a PDU. If it stays, report it to both vendors.",
    6: _BY_PROVIDER + "it took a parameter of a PDU for invalid. If it stays, report it to both vendors.",
}
"""Reason of an A-ABORT by the service provider, source 2 (PS3.8 Table 9-26); 3 is reserved."""
ABORT_RESERVED = _BY_PROVIDER + "its reason is none that DICOM defines. It is tried again; if it stays, look there."


def of_abort(source: int, reason: int) -> Answer:
    """What an A-ABORT means: always later. The reason counts only where the source is the service provider."""
    if source == 0:
        return Answer(LATER, ABORT_BY_USER)
    if source == 2:
        return Answer(LATER, ABORT_REASONS.get(reason, ABORT_RESERVED))
    return Answer(LATER, ABORT_RESERVED)


class Interruption(str, Enum):
    """How an association fails without a DICOM answer."""

    HOST_UNKNOWN = "host-unknown"
    REFUSED = "refused"
    UNREACHABLE = "unreachable"
    CONNECT_TIMEOUT = "connect-timeout"
    TLS = "tls"
    NO_ASSOCIATION = "no-association"
    STALLED = "stalled"
    NO_RESPONSE = "no-response"
    CLOSED = "closed"
    RELEASED = "released"
    NOT_DICOM = "not-dicom"
    MALFORMED = "malformed"
    OTHER_MESSAGE = "other-message"
    OWN_FILE = "own-file"


INTERRUPTIONS: dict[Interruption, Answer] = {
    Interruption.HOST_UNKNOWN: Answer(
        LATER,
        "The host name {d.host} is not known: correct the address of {d.name} here, or mend the name service.",
        is_away=True,
    ),
    Interruption.REFUSED: Answer(
        LATER,
        "Nothing listens at {d.host}:{d.port}: start {d.name}, or correct its address and port here.",
        is_away=True,
    ),
    Interruption.UNREACHABLE: Answer(
        LATER, "{d.host}:{d.port} cannot be reached: check the network between this node and {d.name}.", is_away=True
    ),
    Interruption.CONNECT_TIMEOUT: Answer(
        LATER,
        "{d.host}:{d.port} did not answer within {d.connect_timeout_s:g} s: check that {d.name} runs, its address "
        "here, and the firewalls between.",
        is_away=True,
    ),
    Interruption.TLS: Answer(
        LATER,
        "TLS with {d.name} failed: check that {d.host}:{d.port} speaks TLS, and that each side trusts the other's "
        "certificate, which must be in date and carry the name {d.host}.",
        is_away=True,
    ),
    Interruption.NO_ASSOCIATION: Answer(
        LATER,
        "{d.name} took the connection but did not answer the association request within {d.association_timeout_s:g} "
        "s: check that {d.host}:{d.port} is its DICOM port, without TLS unless it is set here.",
        is_away=True,
    ),
    Interruption.STALLED: Answer(
        LATER,
        "{d.name} read nothing for {d.stall_timeout_s:g} s, or far too slowly. It is tried again; if it stays, look "
        "into its log, and at the network between.",
    ),
    Interruption.NO_RESPONSE: Answer(
        LATER,
        "{d.name} took the object but did not answer within {d.response_timeout_s:g} s. The same object is sent again.",
    ),
    Interruption.CLOSED: Answer(
        LATER, "{d.name} closed the connection without a word. It is tried again; if it stays, look into its log."
    ),
    Interruption.RELEASED: Answer(LATER, "{d.name} ended the association before all was sent. The rest goes later."),
    Interruption.NOT_DICOM: Answer(
        LATER, "What {d.name} answered is not DICOM: check that {d.host}:{d.port} is its DICOM port."
    ),
    Interruption.MALFORMED: Answer(
        LATER, "What {d.name} answered is not as DICOM has it. It is tried again; if it stays, report it to its vendor."
    ),
    Interruption.OTHER_MESSAGE: Answer(
        LATER,
        "{d.name} answered another message than ours (its Message ID Being Responded To), so nobody knows. The same "
        "object is sent again; if it stays, report it to its vendor.",
    ),
    Interruption.OWN_FILE: Answer(
        LATER, "A file of this node could not be read to its end while sending to {d.name}: check this node's disk."
    ),
}
"""Failures that carry no DICOM answer; all are later, since the peer never judged the object."""

CONTEXT_REASONS: dict[int, str] = {
    1: "it refused",
    2: "it gave no reason",
    3: "it does not know this SOP class",
    4: "it does not know this transfer syntax",
}
"""Result of a presentation context that was not accepted (PS3.8 Table 9-18)."""


def of_refused_context(result: int | None) -> Answer:
    """What a presentation context means that was not accepted; None where the peer left it out of its answer."""
    reason = CONTEXT_REASONS.get(result or 0, "it did not say why")
    return Answer(
        PARKED,
        f"{{d.name}} does not accept this kind of object ({reason}): enable its SOP class and transfer syntax there "
        "for {d.our_ae_title}, or take the rendition out of this destination's list here.",
    )
